// The one translation unit with Asio's non-template code (BOOST_ASIO_SEPARATE_COMPILATION) and with
// Boost.JSON's, which is then optimised together with its callers.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/json/src.hpp>
