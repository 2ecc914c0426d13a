/* pb_descriptors.h — what all .proto files of proto/ declare, as one serialized google.protobuf.FileDescriptorSet. */
#ifndef NX_PB_DESCRIPTORS_H
#define NX_PB_DESCRIPTORS_H

#include <stdint.h>

extern const uint8_t nx_pb_descriptors[], nx_pb_descriptors_end[];

#endif
