/*
 * What the changelog needs of the producer beyond its contract in kafka.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_KAFKA_PRODUCER_H
#define WEIR_KAFKA_PRODUCER_H

#include "kafka/kafka.h"

/* Takes over a delivery from malloc: it is freed at once if nothing is outstanding, else with
 * the producer, because reports may still be written to it. */
void weir__producer_adopt(weir__producer *producer, weir__delivery *delivery);

#endif
