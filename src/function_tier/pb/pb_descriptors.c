/* pb_descriptors.c — the descriptors of proto/, a FileDescriptorSet as protoc-c wrote it, in read-only memory. */
#include "function_tier/pb/pb_descriptors.h"

__asm__(".section .rodata\n"
        ".global nx_pb_descriptors\n"
        "nx_pb_descriptors:\n"
        ".incbin \"" NX_PB_DESCRIPTOR_SET "\"\n"
        ".global nx_pb_descriptors_end\n"
        "nx_pb_descriptors_end:\n"
        ".byte 0\n"
        ".text\n");
