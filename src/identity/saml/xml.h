#pragma once
// Reading XML of strangers with libxml2: what is kept off, and the few questions that SAML asks.

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct _xmlDoc;
struct _xmlNode;

namespace asahi::identity::xml {

constexpr std::string_view kProtocol = "urn:oasis:names:tc:SAML:2.0:protocol";
constexpr std::string_view kAssertion = "urn:oasis:names:tc:SAML:2.0:assertion";
constexpr std::string_view kMetadata = "urn:oasis:names:tc:SAML:2.0:metadata";
constexpr std::string_view kSignature = "http://www.w3.org/2000/09/xmldsig#";

using Node = _xmlNode;
struct FreeDocument {
  void operator()(_xmlDoc* document) const;
};
using Document = std::unique_ptr<_xmlDoc, FreeDocument>;

struct Limits {
  std::size_t bytes = 256 * 1024;
  std::size_t nodes = 8'192;  ///< elements, attributes and namespace declarations together
  std::size_t depth = 32;
  /// Comments and processing instructions are refused: canonical XML leaves comments out, so a
  /// signature says nothing about where in a text they stand.
  bool plain = true;
};

/// UTF-8 only, no document type (hence no entities), nothing fetched. On failure a word for the
/// log.
std::expected<Document, std::string_view> parse(std::string_view text, const Limits& limits);

Node* root(const Document& document);
bool is(const Node* node, std::string_view space, std::string_view name);
/// Child elements of that name.
std::vector<Node*> children(const Node* node, std::string_view space, std::string_view name);
/// All child elements.
std::vector<Node*> children(const Node* node);
/// The one child of that name; null when there is none or more than one.
Node* only_child(const Node* node, std::string_view space, std::string_view name);
/// An attribute without namespace; nothing when it is absent.
std::optional<std::string> attribute(const Node* node, const char* name);
/// All text inside, without white space around it; nothing when there are elements inside.
std::optional<std::string> text(const Node* node);
/// Every element below and with `node`, in document order.
void each_element(Node* node, const std::function<void(Node*)>& visit);

}  // namespace asahi::identity::xml
