# libnexus-group for other programs: shared and static library, public headers, pkg-config file.
#
# The library is the objects of nexus_group and of all it stands on. They are built with hidden visibility; the
# public headers raise what they declare to default visibility, so the headers are the one list of exports. In the
# archive the objects are one, in which hidden names are local: it exports the same.
# Headers include each other as <nexus/...> once installed: `#include <nexus/group/group.h>`.
include_guard()
include(GNUInstallDirs)

set(NX_PUBLIC_HEADERS group/group.h group/view/message.h group/view/view.h common/status.h common/clock.h)

# The static libraries of ours that `target` links, itself included.
function(nexus_parts out target)
    set(parts ${target})
    get_target_property(links ${target} LINK_LIBRARIES)
    foreach(link IN LISTS links)
        if(NOT TARGET ${link} OR NOT link MATCHES "^nexus_")
            continue()
        endif()
        get_target_property(type ${link} TYPE)
        if(type STREQUAL "STATIC_LIBRARY")
            nexus_parts(below ${link})
            list(APPEND parts ${below})
        endif()
    endforeach()
    list(REMOVE_DUPLICATES parts)
    set(${out} ${parts} PARENT_SCOPE)
endfunction()

# Public headers as they are installed, below the build folder's include/nexus.
function(nexus_public_headers)
    foreach(header IN LISTS NX_PUBLIC_HEADERS)
        set(from ${CMAKE_SOURCE_DIR}/src/${header})
        set(to ${CMAKE_BINARY_DIR}/include/nexus/${header})
        add_custom_command(OUTPUT ${to} DEPENDS ${from} VERBATIM
            COMMAND ${CMAKE_COMMAND} -DFROM=${from} -DTO=${to} -P ${CMAKE_SOURCE_DIR}/cmake/public_header.cmake)
        list(APPEND made ${to})
        get_filename_component(folder ${header} DIRECTORY)
        install(FILES ${to} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nexus/${folder} COMPONENT library)
    endforeach()
    add_custom_target(nexus_group_headers ALL DEPENDS ${made})
endfunction()

# Found relative to itself, so that --prefix may differ from the configured one.
function(nexus_group_pkgconfig)
    set(dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
    file(RELATIVE_PATH NX_PC_PREFIX ${CMAKE_INSTALL_PREFIX}/${dir} ${CMAKE_INSTALL_PREFIX})
    string(REGEX REPLACE "/$" "" NX_PC_PREFIX ${NX_PC_PREFIX})
    configure_file(${CMAKE_SOURCE_DIR}/cmake/nexus-group.pc.in ${CMAKE_BINARY_DIR}/nexus-group.pc @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/nexus-group.pc DESTINATION ${dir} COMPONENT library)
endfunction()

# Called where nexus_group and all below it are known.
function(nexus_group_library)
    pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
    pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
    nexus_parts(parts nexus_group)
    foreach(part IN LISTS parts)
        target_compile_options(${part} PRIVATE -fvisibility=hidden)
        list(APPEND objects $<TARGET_OBJECTS:${part}>)
    endforeach()
    add_library(nexus_group_shared SHARED ${objects})
    set(whole ${CMAKE_CURRENT_BINARY_DIR}/nexus-group.o)
    add_custom_command(OUTPUT ${whole} DEPENDS ${objects} COMMAND_EXPAND_LISTS VERBATIM
        COMMAND ${CMAKE_LINKER} -r -o ${whole} ${objects}
        COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${whole})
    add_library(nexus_group_static STATIC ${whole})
    set_source_files_properties(${whole} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    foreach(library IN ITEMS nexus_group_shared nexus_group_static)
        set_target_properties(${library} PROPERTIES OUTPUT_NAME nexus-group LINKER_LANGUAGE C
            VERSION ${PROJECT_VERSION} SOVERSION 0)
    endforeach()
    target_link_libraries(nexus_group_shared PRIVATE nexus_flags PkgConfig::CRYPTO PkgConfig::ZLIB
        Threads::Threads)
    target_link_options(nexus_group_shared PRIVATE LINKER:--as-needed)
    if(NOT NX_SANITIZE) # a sanitizer's symbols come with the program
        target_link_options(nexus_group_shared PRIVATE LINKER:--no-undefined)
    endif()
    install(TARGETS nexus_group_shared nexus_group_static
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
    nexus_public_headers()
    nexus_group_pkgconfig()
endfunction()
