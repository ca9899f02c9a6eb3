#include "storage/sql/pg_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <cstdio>
#include <cstdlib>

namespace asahi::sql {
namespace {

constexpr const char* kLibrary = "libpq.so.5";

void* library() {
  static void* const loaded = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  return loaded;
}

template <class Function>
Function* entry(const char* name) {
  void* const found = library() != nullptr ? ::dlsym(library(), name) : nullptr;
  if (found == nullptr) {
    std::fprintf(stderr, "asahi: %s was called before load_libpq() found it\n", name);
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

}  // namespace

Result<void> load_libpq() {
  // The youngest function that is used: an older library is as good as none.
  if (library() == nullptr || ::dlsym(library(), "PQenterPipelineMode") == nullptr) {
    return fail(
        Errc::kUnavailable,
        fmt::format("PostgreSQL needs {} of version 14 or newer; install libpq5 (Debian) or "
                    "use a sqlite:/// URL",
                    kLibrary));
  }
  return {};
}

}  // namespace asahi::sql

// Each function of libpq that is used, under its own name: callers read as they would with the
// library linked.
#define ASAHI_LIBPQ(result, name, parameters, arguments)                    \
  extern "C" [[gnu::visibility("hidden")]] result name parameters {         \
    static auto* const function = asahi::sql::entry<decltype(name)>(#name); \
    return function arguments;                                              \
  }

// clang-format off
ASAHI_LIBPQ(int, PQcancel,
            (PGcancel* cancel, char* errbuf, int errbufsize),
            (cancel, errbuf, errbufsize))
ASAHI_LIBPQ(void, PQclear, (PGresult* res), (res))
ASAHI_LIBPQ(char*, PQcmdStatus, (PGresult* res), (res))
ASAHI_LIBPQ(char*, PQcmdTuples, (PGresult* res), (res))
ASAHI_LIBPQ(PostgresPollingStatusType, PQconnectPoll, (PGconn* conn), (conn))
ASAHI_LIBPQ(PGconn*, PQconnectStartParams,
            (const char* const* keywords, const char* const* values, int expand_dbname),
            (keywords, values, expand_dbname))
ASAHI_LIBPQ(PGconn*, PQconnectdb, (const char* conninfo), (conninfo))
ASAHI_LIBPQ(void, PQconninfoFree, (PQconninfoOption* options), (options))
ASAHI_LIBPQ(PQconninfoOption*, PQconninfoParse,
            (const char* conninfo, char** errmsg),
            (conninfo, errmsg))
ASAHI_LIBPQ(int, PQconsumeInput, (PGconn* conn), (conn))
ASAHI_LIBPQ(int, PQenterPipelineMode, (PGconn* conn), (conn))
ASAHI_LIBPQ(char*, PQerrorMessage, (const PGconn* conn), (conn))
ASAHI_LIBPQ(PGresult*, PQexec, (PGconn* conn, const char* query), (conn, query))
ASAHI_LIBPQ(void, PQfinish, (PGconn* conn), (conn))
ASAHI_LIBPQ(int, PQflush, (PGconn* conn), (conn))
ASAHI_LIBPQ(char*, PQfname, (const PGresult* res, int field_num), (res, field_num))
ASAHI_LIBPQ(void, PQfreeCancel, (PGcancel* cancel), (cancel))
ASAHI_LIBPQ(void, PQfreemem, (void* ptr), (ptr))
ASAHI_LIBPQ(Oid, PQftype, (const PGresult* res, int field_num), (res, field_num))
ASAHI_LIBPQ(PGcancel*, PQgetCancel, (PGconn* conn), (conn))
ASAHI_LIBPQ(PGresult*, PQgetResult, (PGconn* conn), (conn))
ASAHI_LIBPQ(int, PQgetisnull,
            (const PGresult* res, int tup_num, int field_num),
            (res, tup_num, field_num))
ASAHI_LIBPQ(int, PQgetlength,
            (const PGresult* res, int tup_num, int field_num),
            (res, tup_num, field_num))
ASAHI_LIBPQ(char*, PQgetvalue,
            (const PGresult* res, int tup_num, int field_num),
            (res, tup_num, field_num))
ASAHI_LIBPQ(int, PQisBusy, (PGconn* conn), (conn))
ASAHI_LIBPQ(int, PQnfields, (const PGresult* res), (res))
ASAHI_LIBPQ(int, PQntuples, (const PGresult* res), (res))
ASAHI_LIBPQ(const char*, PQparameterStatus,
            (const PGconn* conn, const char* paramName),
            (conn, paramName))
ASAHI_LIBPQ(int, PQpipelineSync, (PGconn* conn), (conn))
ASAHI_LIBPQ(char*, PQresultErrorField, (const PGresult* res, int fieldcode), (res, fieldcode))
ASAHI_LIBPQ(char*, PQresultErrorMessage, (const PGresult* res), (res))
ASAHI_LIBPQ(ExecStatusType, PQresultStatus, (const PGresult* res), (res))
ASAHI_LIBPQ(int, PQsendQuery, (PGconn* conn, const char* query), (conn, query))
ASAHI_LIBPQ(int, PQsendQueryParams,
            (PGconn* conn, const char* command, int nParams, const Oid* paramTypes,
             const char* const* paramValues, const int* paramLengths, const int* paramFormats,
             int resultFormat),
            (conn, command, nParams, paramTypes, paramValues, paramLengths, paramFormats,
             resultFormat))
ASAHI_LIBPQ(PQnoticeReceiver, PQsetNoticeReceiver,
            (PGconn* conn, PQnoticeReceiver proc, void* arg),
            (conn, proc, arg))
ASAHI_LIBPQ(int, PQsetnonblocking, (PGconn* conn, int arg), (conn, arg))
ASAHI_LIBPQ(int, PQsocket, (const PGconn* conn), (conn))
ASAHI_LIBPQ(ConnStatusType, PQstatus, (const PGconn* conn), (conn))
ASAHI_LIBPQ(PGTransactionStatusType, PQtransactionStatus, (const PGconn* conn), (conn))
ASAHI_LIBPQ(unsigned char*, PQunescapeBytea,
            (const unsigned char* strtext, size_t* retbuflen),
            (strtext, retbuflen))
// clang-format on

#undef ASAHI_LIBPQ
