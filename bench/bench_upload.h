/* bench_upload.h — nexus-bench's mode `upload`. argv[0] is the mode's name. */
#ifndef BENCH_UPLOAD_H
#define BENCH_UPLOAD_H

int nx_bench_upload(int argc, char **argv);

#endif
