#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "net/http/client.h"

namespace asahi::http {

/// Who signs, and for what.
struct AwsSigner {
  std::string access_key_id;
  Secret secret_access_key;
  std::string session_token;  ///< of temporary credentials; empty: none
  std::string region;         ///< "us-east-1"
  std::string service;        ///< "sqs"
};

/// Signs a request with AWS Signature Version 4: adds X-Amz-Date and Authorization, and
/// X-Amz-Security-Token where there is one. Host, X-Amz-Date and the headers that are there are
/// signed; the target's query must be sorted and percent-encoded already. docs.aws.amazon.com,
/// "Create a signed AWS API request".
void sign_aws(ClientRequest& request, const AwsSigner& signer, Clock::Time now);

}  // namespace asahi::http
