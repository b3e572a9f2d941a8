# The LMDB backend, a plugin: built where liblmdb-dev is installed. WEIR_WITH_LMDB: AUTO builds it
# if that is there and says so if not, ON insists, OFF leaves it out.
set(WEIR_WITH_LMDB AUTO CACHE STRING "Build the LMDB backend: AUTO, ON or OFF")
set_property(CACHE WEIR_WITH_LMDB PROPERTY STRINGS AUTO ON OFF)

set(WEIR_HAS_LMDB OFF)
if(WEIR_WITH_LMDB)
    find_path(WEIR_LMDB_INCLUDE lmdb.h)
    find_library(WEIR_LMDB_LIBRARY lmdb)
    if(WEIR_LMDB_INCLUDE AND WEIR_LMDB_LIBRARY)
        set(WEIR_HAS_LMDB ON)
    elseif(WEIR_WITH_LMDB STREQUAL "AUTO")
        message(NOTICE "!! The backend lmdb is NOT built and not tested: apt-get install liblmdb-dev")
    else()
        message(FATAL_ERROR "LMDB was not found: apt-get install liblmdb-dev, or -DWEIR_WITH_LMDB=OFF")
    endif()
else()
    message(NOTICE "!! The backend lmdb is NOT built: WEIR_WITH_LMDB=OFF")
endif()

if(WEIR_HAS_LMDB)
    message(STATUS "LMDB: ${WEIR_LMDB_LIBRARY}")
    set(_folder ${PROJECT_SOURCE_DIR}/src/backend/lmdb)
    add_library(weir_lmdb MODULE ${_folder}/check.c ${_folder}/checksum.c ${_folder}/folder.c ${_folder}/guard.c
                                 ${_folder}/iter.c ${_folder}/key.c ${_folder}/lmdb.c ${_folder}/read.c ${_folder}/write.c)
    target_include_directories(weir_lmdb PRIVATE ${PROJECT_SOURCE_DIR}/include ${WEIR_LMDB_INCLUDE})
    target_link_libraries(weir_lmdb PRIVATE ${WEIR_LMDB_LIBRARY} Threads::Threads weir_flags)
    set_target_properties(weir_lmdb PROPERTIES
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/backends)
    install(TARGETS weir_lmdb LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/weir/backends)
endif()
