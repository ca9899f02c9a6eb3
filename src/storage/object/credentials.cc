#include "storage/object/credentials.h"

namespace asahi::object {

CloudCredentials read_clouds(const std::function<std::string(std::string_view name)>& variable) {
  CloudCredentials clouds;
  clouds.azure.account = variable("AZURE_STORAGE_ACCOUNT");
  clouds.azure.key = Secret(variable("AZURE_STORAGE_KEY"));
  clouds.azure.sas = Secret(variable("AZURE_STORAGE_SAS_TOKEN"));
  clouds.azure_endpoint = variable("AZURE_STORAGE_BLOB_ENDPOINT");
  clouds.google.access_key_id = variable("GCS_ACCESS_KEY_ID");
  clouds.google.secret_access_key = Secret(variable("GCS_SECRET_ACCESS_KEY"));
  clouds.google_endpoint = variable("GCS_ENDPOINT");
  return clouds;
}

}  // namespace asahi::object
