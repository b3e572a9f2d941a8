# What `cmake --install` puts where: the library, its headers, a pkg-config file, a CMake
# package, and the folder for state backends that are plugins. All paths inside the
# installed files are relative, so that the tree can be moved.
include(CMakePackageConfigHelpers)

set(WEIR_BACKEND_DIR ${CMAKE_INSTALL_LIBDIR}/weir/backends)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/weir)

# A RocksDB that is not the system's is found at run time too.
set_target_properties(weir PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS weir EXPORT weirTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(DIRECTORY DESTINATION ${WEIR_BACKEND_DIR})
install(EXPORT weirTargets NAMESPACE weir:: DESTINATION ${_package})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/weirConfig.cmake.in
    ${PROJECT_BINARY_DIR}/weirConfig.cmake
    INSTALL_DESTINATION ${_package} PATH_VARS WEIR_BACKEND_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weirConfig.cmake ${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
        DESTINATION ${_package})

# From the folder of weir.pc back to the prefix.
file(RELATIVE_PATH WEIR_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/weir.pc.in ${PROJECT_BINARY_DIR}/weir.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
