# Finds RocksDB (its C API) and defines weir::rocksdb. WEIR_ROCKSDB_ROOT points to another
# one than the system's: a folder with include/rocksdb/c.h, include/rocksdb/version.h and
# lib/librocksdb.so (`./dev rocksdb VERSION` makes one).
#
# What users of the target get as definitions:
#   WEIR_ROCKSDB_VERSION         "7.8.3"
#   WEIR_ROCKSDB_HAS_FLUSH_CFS   the C API can flush several column families as one
set(WEIR_ROCKSDB_MINIMUM 7.8)

# Found anew each time, so that another WEIR_ROCKSDB_ROOT in the same build folder counts.
unset(WEIR_ROCKSDB_INCLUDE CACHE)
unset(WEIR_ROCKSDB_LIBRARY CACHE)
set(_only)
if(WEIR_ROCKSDB_ROOT)
    set(_only NO_DEFAULT_PATH)
endif()
find_path(WEIR_ROCKSDB_INCLUDE rocksdb/c.h PATHS ${WEIR_ROCKSDB_ROOT}/include ${_only})
find_library(WEIR_ROCKSDB_LIBRARY rocksdb
             PATHS ${WEIR_ROCKSDB_ROOT}/lib ${WEIR_ROCKSDB_ROOT}/lib64 ${_only})
if(NOT WEIR_ROCKSDB_INCLUDE OR NOT WEIR_ROCKSDB_LIBRARY)
    message(FATAL_ERROR "RocksDB ${WEIR_ROCKSDB_MINIMUM} or newer was not found: "
                        "apt-get install librocksdb-dev, or set WEIR_ROCKSDB_ROOT "
                        "(now: '${WEIR_ROCKSDB_ROOT}')")
endif()

file(STRINGS ${WEIR_ROCKSDB_INCLUDE}/rocksdb/version.h _lines
     REGEX "#define ROCKSDB_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
list(JOIN _numbers "." WEIR_ROCKSDB_VERSION)
if(WEIR_ROCKSDB_VERSION VERSION_LESS WEIR_ROCKSDB_MINIMUM)
    message(FATAL_ERROR "RocksDB ${WEIR_ROCKSDB_VERSION} in ${WEIR_ROCKSDB_INCLUDE} is older than "
                        "${WEIR_ROCKSDB_MINIMUM}")
endif()
file(STRINGS ${WEIR_ROCKSDB_INCLUDE}/rocksdb/c.h _flush_cfs REGEX " rocksdb_flush_cfs\\(")

add_library(weir::rocksdb UNKNOWN IMPORTED)
set_target_properties(weir::rocksdb PROPERTIES
    IMPORTED_LOCATION ${WEIR_ROCKSDB_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${WEIR_ROCKSDB_INCLUDE}
    INTERFACE_COMPILE_DEFINITIONS "WEIR_ROCKSDB_VERSION=\"${WEIR_ROCKSDB_VERSION}\"")
if(_flush_cfs)
    set_property(TARGET weir::rocksdb APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
                 WEIR_ROCKSDB_HAS_FLUSH_CFS)
endif()
message(STATUS "RocksDB ${WEIR_ROCKSDB_VERSION}: ${WEIR_ROCKSDB_LIBRARY}")
