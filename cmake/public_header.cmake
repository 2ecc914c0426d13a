# cmake -DFROM=src/group/group.h -DTO=…/include/nexus/group/group.h -P public_header.cmake
# Copies a public header; what it includes of ours is included as <nexus/...> there.
file(READ ${FROM} text)
string(REGEX REPLACE "#include \"([^\"]+)\"" "#include <nexus/\\1>" text "${text}")
file(WRITE ${TO} "${text}")
