# The C extension of the Python package, compiled beside the package's files so that its tests can
# run in the build folder. WEIR_WITH_PYTHON: AUTO builds it where Python's headers are installed and
# says so if not, ON insists, OFF leaves it out. Wheels are made in python/, by pip.
set(WEIR_WITH_PYTHON AUTO CACHE STRING "Build the Python extension: AUTO, ON or OFF")
set_property(CACHE WEIR_WITH_PYTHON PROPERTY STRINGS AUTO ON OFF)

set(WEIR_HAS_PYTHON OFF)
if(WEIR_WITH_PYTHON)
    find_package(Python3 3.9 COMPONENTS Interpreter Development.Module QUIET)
    if(Python3_FOUND)
        set(WEIR_HAS_PYTHON ON)
        message(STATUS "Python: ${Python3_EXECUTABLE}")
        add_subdirectory(${PROJECT_SOURCE_DIR}/python)
    elseif(WEIR_WITH_PYTHON STREQUAL "AUTO")
        message(NOTICE "!! The Python extension is NOT built and not tested: "
                       "apt-get install python3-dev python3-venv")
    else()
        message(FATAL_ERROR "Python's headers were not found: apt-get install python3-dev, "
                            "or -DWEIR_WITH_PYTHON=OFF")
    endif()
endif()
