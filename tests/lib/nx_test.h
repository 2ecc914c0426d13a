/* nx_test.h — what every unit test includes: cmocka with its required headers in order. */
#ifndef NX_TEST_H
#define NX_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
