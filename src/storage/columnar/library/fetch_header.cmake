# Puts duckdb.h of npm's package duckdb@VERSION at HEADER. `npm pack` runs no script of the package; the header must have
# the sum SHA256. Only declarations are taken: the library comes by the target duckdb_library.
get_filename_component(folder ${HEADER} DIRECTORY)
set(work ${folder}/fetch)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})
execute_process(COMMAND ${NPM} pack --silent duckdb@${VERSION} WORKING_DIRECTORY ${work} RESULT_VARIABLE failed
                OUTPUT_QUIET)
if(failed)
  message(FATAL_ERROR "npm cannot fetch duckdb@${VERSION}, whose C header storage/columnar is compiled with")
endif()
set(inside package/src/duckdb/src/include/duckdb.h)
execute_process(COMMAND ${CMAKE_COMMAND} -E tar xzf ${work}/duckdb-${VERSION}.tgz ${inside} WORKING_DIRECTORY ${work}
                RESULT_VARIABLE failed)
file(SHA256 ${work}/${inside} sum)
if(failed OR NOT sum STREQUAL SHA256)
  message(FATAL_ERROR "duckdb.h of duckdb@${VERSION} is not the one expected: SHA-256 ${sum}, expected ${SHA256}")
endif()
file(RENAME ${work}/${inside} ${HEADER})
file(TOUCH ${HEADER})
file(REMOVE_RECURSE ${work})
