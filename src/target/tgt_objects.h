/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tgt_objects.h - the tables behind the store: slots of neighbors, paths and connections, and the
 * limited resources that they use (local IP addresses, source MACs, VLAN ids).
 *
 * Context:   worker that owns the adapter; no allocation after tgt_objects_create().
 */
#ifndef TARGET_TGT_OBJECTS_H
#define TARGET_TGT_OBJECTS_H

#include "target/tgt_priv.h"

/* tgt_objects_create() - tables as large as the adapter's limits say. 0 or -ENOMEM. */
int tgt_objects_create(struct tgt_adapter *a);
void tgt_objects_destroy(struct tgt_adapter *a);

/*
 * tgt_object_take() - a slot and a zeroed arena object of that kind. NULL when there is none.
 * tgt_object_give() - both go back; parents lose a dependent.
 */
struct tgt_object *tgt_object_take(struct tgt_adapter *a, enum tgt_object_kind kind);
void tgt_object_give(struct tgt_adapter *a, struct tgt_object *object);

/*
 * tgt_object_of() - what a block's context slot names, NULL when it is no object in use of this
 * adapter.
 */
struct tgt_object *tgt_object_of(const struct tgt_adapter *a, PVOID context);

/* tgt_object_parent() - path of a connection, neighbor of a path; NULL for a neighbor. */
struct tgt_object *tgt_object_parent(const struct tgt_adapter *a, const struct tgt_object *object);

/* Walk the connections in use: start with NULL. */
struct tgt_conn_io *tgt_conn_next(const struct tgt_adapter *a, const struct tgt_conn_io *io);

/* tgt_address_use() - one more user of an address; false when it is new and the table is full. */
bool tgt_address_use(struct tgt_address_table *table, const uint8_t *bytes, size_t length);
void tgt_address_release(struct tgt_address_table *table, const uint8_t *bytes, size_t length);

#endif
