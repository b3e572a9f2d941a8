# Finds RocksDB (its C API) and defines weir::rocksdb. WEIR_ROCKSDB_ROOT points to another
# one than the system's.
if(WEIR_ROCKSDB_ROOT)
    set(_only NO_DEFAULT_PATH)
endif()
find_path(WEIR_ROCKSDB_INCLUDE rocksdb/c.h PATHS ${WEIR_ROCKSDB_ROOT}/include ${_only})
find_library(WEIR_ROCKSDB_LIBRARY rocksdb PATHS ${WEIR_ROCKSDB_ROOT}/lib ${_only})
if(NOT WEIR_ROCKSDB_INCLUDE OR NOT WEIR_ROCKSDB_LIBRARY)
    message(FATAL_ERROR "RocksDB 7.8 or newer was not found: apt-get install librocksdb-dev, "
                        "or set WEIR_ROCKSDB_ROOT")
endif()
add_library(weir::rocksdb UNKNOWN IMPORTED)
set_target_properties(weir::rocksdb PROPERTIES
    IMPORTED_LOCATION ${WEIR_ROCKSDB_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${WEIR_ROCKSDB_INCLUDE})
