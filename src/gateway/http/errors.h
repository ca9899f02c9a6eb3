#pragma once

#include "llm/codec.h"
#include "net/http/router.h"

namespace asahi::gateway {

/// The body of spec §2.11, with the gateway's own codes (validation_error, model_not_found, …).
http::Response native_error(const Error& error, const http::Context& context);
/// Errors in a vendor's shape, with the status its SDKs expect: an unknown model is 404 there
/// (R19).
http::ErrorWriter vendor_errors(const llm::ClientCodec& codec);
/// Status of an error on native routes: model_not_found is 400 (R19), unsupported_media_type 415,
/// stages' own codes.
int native_status(const Error& error);

}  // namespace asahi::gateway
