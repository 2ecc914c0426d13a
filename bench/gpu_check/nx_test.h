/* nx_test.h — stands in for the tests' header of that name where there is no cmocka: a failure ends the program. */
#ifndef NX_TEST_H
#define NX_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define fail_msg(...)                 \
    do {                              \
        fprintf(stderr, __VA_ARGS__); \
        fputc('\n', stderr);          \
        exit(1);                      \
    } while (0)
#define assert_true(condition)                                     \
    do {                                                           \
        if (!(condition))                                          \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, #condition); \
    } while (0)
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_int_equal(a, b)   assert_true((a) == (b))

#endif
