#pragma once

// Before the rest of its kind: they do not include what they need.
#include <xmlsec/xmlsec.h>

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/valid.h>
#include <libxml/xmlerror.h>
#include <xmlsec/errors.h>
#include <xmlsec/openssl/app.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>

#include "base/dynamic_library.h"

namespace asahi::identity {

/// libxmlsec1 with libxml2 and ICU, which it brings along: 2 MiB that a gateway without SAML does
/// without. Loaded by start_xmlsec; no function may be called before.
inline constinit DynamicLibrary libxmlsec{"libxmlsec1-openssl.so.1", "SAML", "libxmlsec1-openssl",
                                          "xmlSecOpenSSLTransformEcdsaSha512GetKlass"};

ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlAddID);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlDocGetRootElement);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlFreeDoc);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlGetID);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlGetNoNsProp);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlHasProp);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlInitParser);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlReadMemory);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSetGenericErrorFunc);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecBufferGetData);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecBufferGetSize);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecCheckVersionExt);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecDSigCtxCreate);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecDSigCtxDestroy);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecDSigCtxEnableReferenceTransform);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecDSigCtxEnableSignatureTransform);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecDSigCtxVerify);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecDSigReferenceCtxGetPreDigestBuffer);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecErrorsSetCallback);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecInit);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecKeyCreate);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecKeyDataDestroy);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecKeyDestroy);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecKeyDuplicate);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecKeySetValue);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLAppInit);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLEvpKeyAdopt);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLInit);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformEcdsaSha256GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformEcdsaSha384GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformEcdsaSha512GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformRsaSha256GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformRsaSha384GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformRsaSha512GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformSha256GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformSha384GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecOpenSSLTransformSha512GetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecPtrListGetItem);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecPtrListGetSize);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecTransformEnvelopedGetKlass);
ASAHI_DYNAMIC_FUNCTION(libxmlsec, xmlSecTransformExclC14NGetKlass);

}  // namespace asahi::identity
