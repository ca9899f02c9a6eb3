#include "identity/saml/xml.h"

#include <cstdlib>

#include "base/utf8.h"
#include "identity/saml/xml_library.h"

namespace asahi::identity::xml {
namespace {

std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

extern "C" void say_nothing(void*, const char*, ...) {}

/// Errors are returned, not written to stderr. libxml2 keeps the handler per thread.
void be_quiet() {
  thread_local const bool done = [] {
    xmlSetGenericErrorFunc(nullptr, say_nothing);
    return true;
  }();
  (void)done;
}

/// Walks without recursion: what is too deep is found by the walk.
std::expected<void, std::string_view> check(const Document& document, const Limits& limits) {
  std::size_t nodes = 0, depth = 0;
  for (const xmlNode* at = document->children; at != nullptr;) {
    switch (at->type) {
      case XML_ELEMENT_NODE:
        ++nodes;
        for (const xmlAttr* a = at->properties; a != nullptr; a = a->next) ++nodes;
        for (const xmlNs* n = at->nsDef; n != nullptr; n = n->next) ++nodes;
        break;
      case XML_TEXT_NODE:
      case XML_CDATA_SECTION_NODE:
        break;
      case XML_COMMENT_NODE:
      case XML_PI_NODE:
        if (limits.plain) return std::unexpected("comment or processing instruction");
        break;
      default:
        return std::unexpected("document type or entity");
    }
    if (nodes > limits.nodes) return std::unexpected("too many elements");
    if (at->type == XML_ELEMENT_NODE && at->children != nullptr) {
      if (++depth > limits.depth) return std::unexpected("too deep");
      at = at->children;
      continue;
    }
    while (at != nullptr && at->next == nullptr) {
      at = at->parent;
      if (at == nullptr || at->type == XML_DOCUMENT_NODE) return {};
      --depth;
    }
    if (at != nullptr) at = at->next;
  }
  return {};
}

}  // namespace

void FreeDocument::operator()(_xmlDoc* document) const { xmlFreeDoc(document); }

std::expected<Document, std::string_view> parse(std::string_view text, const Limits& limits) {
  be_quiet();
  if (text.size() > limits.bytes) return std::unexpected("too large");
  // The encoding is given, whatever the document says of itself: so these bytes are what a document
  // type begins with, and none gets as far as the parser.
  if (!is_utf8(text)) return std::unexpected("not UTF-8");
  if (text.find("<!DOCTYPE") != std::string_view::npos ||
      text.find("<!ENTITY") != std::string_view::npos) {
    return std::unexpected("document type or entity");
  }
  Document document(xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, "UTF-8",
                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                      XML_PARSE_IGNORE_ENC | XML_PARSE_NOCDATA));
  if (document == nullptr || xmlDocGetRootElement(document.get()) == nullptr) {
    return std::unexpected("not well-formed");
  }
  if (document->intSubset != nullptr || document->extSubset != nullptr) {
    return std::unexpected("document type or entity");
  }
  if (auto good = check(document, limits); !good) return std::unexpected(good.error());
  return document;
}

Node* root(const Document& document) { return xmlDocGetRootElement(document.get()); }

bool is(const Node* node, std::string_view space, std::string_view name) {
  return node->type == XML_ELEMENT_NODE && view(node->name) == name && node->ns != nullptr &&
         view(node->ns->href) == space;
}

std::vector<Node*> children(const Node* node) {
  std::vector<Node*> found;
  for (xmlNode* child = node->children; child != nullptr; child = child->next) {
    if (child->type == XML_ELEMENT_NODE) found.push_back(child);
  }
  return found;
}

std::vector<Node*> children(const Node* node, std::string_view space, std::string_view name) {
  std::vector<Node*> found = children(node);
  std::erase_if(found, [&](const Node* child) { return !is(child, space, name); });
  return found;
}

Node* only_child(const Node* node, std::string_view space, std::string_view name) {
  const auto found = children(node, space, name);
  return found.size() == 1 ? found.front() : nullptr;
}

std::optional<std::string> attribute(const Node* node, const char* name) {
  xmlChar* const value = xmlGetNoNsProp(node, reinterpret_cast<const xmlChar*>(name));
  if (value == nullptr) return std::nullopt;
  std::string copy(view(value));
  std::free(value);  // as xmlFree does, a variable of the library
  return copy;
}

std::optional<std::string> text(const Node* node) {
  std::string all;
  for (const xmlNode* child = node->children; child != nullptr; child = child->next) {
    switch (child->type) {
      case XML_TEXT_NODE:
      case XML_CDATA_SECTION_NODE:
        all += view(child->content);
        break;
      case XML_COMMENT_NODE:
      case XML_PI_NODE:
        break;
      default:
        return std::nullopt;
    }
  }
  while (!all.empty() && is_space(all.back())) all.pop_back();
  std::size_t first = 0;
  while (first < all.size() && is_space(all[first])) ++first;
  return all.substr(first);
}

void each_element(Node* node, const std::function<void(Node*)>& visit) {
  visit(node);
  for (Node* child : children(node)) each_element(child, visit);
}

}  // namespace asahi::identity::xml
