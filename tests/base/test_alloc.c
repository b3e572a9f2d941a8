/*
 * The JSON codec, buffers and arenas allocate nothing once they are warm. The allocator of the C
 * library is counted from inside this program, which a sanitizer replaces: there is no count then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_COUNTED 0
#else
#define IS_COUNTED 1
#endif

static size_t allocations;

#if IS_COUNTED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}
#endif

static weir_status ignore_member(const char *name, int64_t value, void *arg)
{
    (void)name;
    (void)value;
    (void)arg;
    return WEIR_OK;
}

/* Everything that runs per record or per changelog message. */
static bool run_once(weir__buffer *out, weir__arena *arena, int i)
{
    int64_t integer;
    double number;
    weir_slice text = weir_slice_str("a \"text\" \xC3\xA9\n");
    weir_slice object = weir_slice_str("{\"flights\": 12, \"miles\": 0.1, \"to\": \"L\\u0041X\"}");
    weir_slice offsets = weir_slice_str("{\"flights\":336776,\"weather\":-1}");
    bool fine = true;
    weir__buffer_clear(out);
    weir__arena_reset(arena, SIZE_MAX);
    fine &= weir__json_write_int(out, i) == WEIR_OK;
    fine &= weir__json_read_int(weir__buffer_slice(out), &integer, NULL) == WEIR_OK;
    weir__buffer_clear(out);
    fine &= weir__json_write_double(out, i / 7.0, NULL) == WEIR_OK;
    fine &= weir__json_read_double(weir__buffer_slice(out), &number, NULL) == WEIR_OK;
    fine &= weir__json_write_string(out, text, NULL) == WEIR_OK;
    fine &= weir__json_write_canonical(out, object, NULL) == WEIR_OK;
    fine &= weir__json_read_string(weir_slice_str("\"t\\u00e9xt\""), out, NULL) == WEIR_OK;
    fine &= weir__json_each_int(offsets, ignore_member, NULL, NULL) == WEIR_OK;
    for (size_t size = 0; size < 6000; size += 100)
        fine &= weir__arena_alloc(arena, size) != NULL;
    return fine && integer == i && number == i / 7.0;
}

static void test_a_warm_codec_allocates_nothing(void **state)
{
    (void)state;
    weir__buffer out = {0};
    weir__arena arena;
    weir__arena_init(&arena);
    bool fine = true;
    for (int i = 0; i < 10; i++)
        fine &= run_once(&out, &arena, i);
    if (IS_COUNTED)
        assert_true(allocations > 0);
    allocations = 0;
    for (int i = 0; i < 10000; i++)
        fine &= run_once(&out, &arena, i);
    size_t counted = allocations;
    weir__buffer_release(&out);
    weir__arena_release(&arena);
    assert_true(fine);
    assert_int_equal(counted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warm_codec_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
