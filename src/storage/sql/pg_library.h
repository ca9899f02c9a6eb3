#pragma once

#include <libpq-fe.h>

#include "base/dynamic_library.h"

namespace asahi::sql {

/// libpq: with LDAP, Kerberos and GnuTLS, which it brings along, it takes 3 MiB that a gateway on
/// SQLite does without. Loaded by open_postgres; no function may be called before.
inline constinit DynamicLibrary libpq{"libpq.so.5", "PostgreSQL", "libpq5", "PQenterPipelineMode"};

ASAHI_DYNAMIC_FUNCTION(libpq, PQcancel);
ASAHI_DYNAMIC_FUNCTION(libpq, PQclear);
ASAHI_DYNAMIC_FUNCTION(libpq, PQcmdStatus);
ASAHI_DYNAMIC_FUNCTION(libpq, PQcmdTuples);
ASAHI_DYNAMIC_FUNCTION(libpq, PQconnectPoll);
ASAHI_DYNAMIC_FUNCTION(libpq, PQconnectStartParams);
ASAHI_DYNAMIC_FUNCTION(libpq, PQconninfoFree);
ASAHI_DYNAMIC_FUNCTION(libpq, PQconninfoParse);
ASAHI_DYNAMIC_FUNCTION(libpq, PQconsumeInput);
ASAHI_DYNAMIC_FUNCTION(libpq, PQenterPipelineMode);
ASAHI_DYNAMIC_FUNCTION(libpq, PQerrorMessage);
ASAHI_DYNAMIC_FUNCTION(libpq, PQfinish);
ASAHI_DYNAMIC_FUNCTION(libpq, PQflush);
ASAHI_DYNAMIC_FUNCTION(libpq, PQfformat);
ASAHI_DYNAMIC_FUNCTION(libpq, PQfname);
ASAHI_DYNAMIC_FUNCTION(libpq, PQfreeCancel);
ASAHI_DYNAMIC_FUNCTION(libpq, PQfreemem);
ASAHI_DYNAMIC_FUNCTION(libpq, PQftype);
ASAHI_DYNAMIC_FUNCTION(libpq, PQgetCancel);
ASAHI_DYNAMIC_FUNCTION(libpq, PQgetResult);
ASAHI_DYNAMIC_FUNCTION(libpq, PQgetisnull);
ASAHI_DYNAMIC_FUNCTION(libpq, PQgetlength);
ASAHI_DYNAMIC_FUNCTION(libpq, PQgetvalue);
ASAHI_DYNAMIC_FUNCTION(libpq, PQisBusy);
ASAHI_DYNAMIC_FUNCTION(libpq, PQnfields);
ASAHI_DYNAMIC_FUNCTION(libpq, PQntuples);
ASAHI_DYNAMIC_FUNCTION(libpq, PQparameterStatus);
ASAHI_DYNAMIC_FUNCTION(libpq, PQpipelineSync);
ASAHI_DYNAMIC_FUNCTION(libpq, PQputCopyData);
ASAHI_DYNAMIC_FUNCTION(libpq, PQputCopyEnd);
ASAHI_DYNAMIC_FUNCTION(libpq, PQresultErrorField);
ASAHI_DYNAMIC_FUNCTION(libpq, PQresultErrorMessage);
ASAHI_DYNAMIC_FUNCTION(libpq, PQresultStatus);
ASAHI_DYNAMIC_FUNCTION(libpq, PQsendQuery);
ASAHI_DYNAMIC_FUNCTION(libpq, PQsendQueryParams);
ASAHI_DYNAMIC_FUNCTION(libpq, PQsetNoticeReceiver);
ASAHI_DYNAMIC_FUNCTION(libpq, PQsetnonblocking);
ASAHI_DYNAMIC_FUNCTION(libpq, PQsocket);
ASAHI_DYNAMIC_FUNCTION(libpq, PQstatus);
ASAHI_DYNAMIC_FUNCTION(libpq, PQtransactionStatus);
ASAHI_DYNAMIC_FUNCTION(libpq, PQunescapeBytea);

}  // namespace asahi::sql
