/*
 * The digest of a database's rows. See digest.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bytes.h"

struct digester {
    XXH3_state_t *state;
    const char *family; /* not fed yet; NULL: it is */
    digest sum;
};

digester *digester_new(void)
{
    digester *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->state = XXH3_createState();
    if (made->state == NULL || XXH3_128bits_reset(made->state) != XXH_OK) {
        digester_free(made);
        return NULL;
    }
    return made;
}

void digester_free(digester *of)
{
    if (of == NULL)
        return;
    XXH3_freeState(of->state);
    free(of);
}

void digester_family(digester *of, const char *name)
{
    of->family = name;
}

static void feed(digester *of, const void *data, size_t size)
{
    if (size > 0)
        (void)XXH3_128bits_update(of->state, data, size);
}

void digester_row(digester *of, weir_slice key, weir_slice value)
{
    uint8_t head[9];
    if (of->family != NULL) {
        head[0] = 1;
        bytes_put32(head + 1, (uint32_t)strlen(of->family));
        feed(of, head, 5);
        feed(of, of->family, strlen(of->family));
        of->family = NULL;
    }
    head[0] = 2;
    bytes_put32(head + 1, (uint32_t)key.size);
    bytes_put32(head + 5, (uint32_t)value.size);
    feed(of, head, sizeof head);
    feed(of, key.data, key.size);
    feed(of, value.data, value.size);
    of->sum.rows++;
    of->sum.size += key.size + value.size;
}

digest digester_end(const digester *of)
{
    XXH128_canonical_t bytes;
    digest sum = of->sum;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(of->state));
    memcpy(sum.bytes, bytes.digest, sizeof sum.bytes);
    return sum;
}

bool digest_equal(const digest *a, const digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0 && a->rows == b->rows &&
           a->size == b->size;
}

void digest_text(const digest *of, char text[2 * DIGEST_SIZE + 1])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", of->bytes[i]);
}
