/*
 * The digest of a database's rows: the same for the same rows on every backend.
 *
 * XXH3, 128 bits, over each family that is not empty, in the order of the bytes of their names:
 *
 *   01 ∥ size of the name (4 bytes, big-endian) ∥ name
 *   for each row in order:  02 ∥ size of the key (4) ∥ size of the value (4) ∥ key ∥ value
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_TOOLS_DIGEST_H
#define WEIR_TOOLS_DIGEST_H

#include <weir/base.h>

#define DIGEST_SIZE 16u

typedef struct digest {
    uint8_t bytes[DIGEST_SIZE];
    uint64_t rows;
    uint64_t size; /* bytes of keys and values */
} digest;

typedef struct digester digester;

/* NULL: no memory. */
digester *digester_new(void);
void digester_free(digester *of);
/* name lives until the next family or the end. */
void digester_family(digester *of, const char *name);
void digester_row(digester *of, weir_slice key, weir_slice value);
digest digester_end(const digester *of);
bool digest_equal(const digest *a, const digest *b);
/* 32 digits and a NUL. */
void digest_text(const digest *of, char text[2 * DIGEST_SIZE + 1]);

#endif
