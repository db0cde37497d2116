/* SPDX-License-Identifier: Apache-2.0 */
/* String map: entries in insertion order, found through an open-addressing table of positions. */
#include "core/base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rand.h"

struct entry {
	char *key; /* NULL: removed */
	void *value;
	uint64_t hash;
};

struct map {
	map_free_fn *free_value;
	struct entry *entries;
	size_t used; /* entries that were filled, removed ones included */
	size_t live;
	size_t cap;
	uint32_t *slots; /* position + 1 in entries; 0 is free */
	size_t slot_count; /* power of two, at least twice cap */
	uint64_t seed;
};

#define FIRST_CAP 8

/* FNV-1a from a random start and with a final mix: keys come from outside as well, and nobody
 * should be able to choose them so that all meet in one slot. */
static uint64_t
hash_of(const struct map *m, const char *key)
{
	uint64_t h = m->seed;

	for (; *key; key++) {
		h ^= (unsigned char)*key;
		h *= 0x100000001B3u;
		h ^= h >> 29;
	}
	h ^= h >> 32;
	h *= 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

static void
free_value(const struct map *m, void *value)
{
	if (m->free_value && value)
		m->free_value(value);
}

struct map *
map_new(map_free_fn *free_fn)
{
	struct map *m = xcalloc(1, sizeof(*m));

	m->free_value = free_fn;
	rand_bytes(&m->seed, sizeof(m->seed));
	return m;
}

struct map *
map_free(struct map *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->used; i++) {
		if (!m->entries[i].key)
			continue;
		free(m->entries[i].key);
		free_value(m, m->entries[i].value);
	}
	free(m->entries);
	free(m->slots);
	free(m);
	return NULL;
}

/* Slot that holds KEY, or the free one where the search ended. */
static size_t
find_slot(const struct map *m, const char *key, uint64_t hash)
{
	size_t i = hash & (m->slot_count - 1);

	for (; m->slots[i]; i = (i + 1) & (m->slot_count - 1)) {
		const struct entry *e = &m->entries[m->slots[i] - 1];

		if (e->key && e->hash == hash && strcmp(e->key, key) == 0)
			break;
	}
	return i;
}

static struct entry *
find(const struct map *m, const char *key)
{
	size_t i;

	if (!m || m->slot_count == 0)
		return NULL;
	i = find_slot(m, key, hash_of(m, key));
	return m->slots[i] ? &m->entries[m->slots[i] - 1] : NULL;
}

static void
insert_slot(struct map *m, size_t pos)
{
	size_t i = m->entries[pos].hash & (m->slot_count - 1);

	while (m->slots[i])
		i = (i + 1) & (m->slot_count - 1);
	m->slots[i] = (uint32_t)pos + 1;
}

/* Squeeze out removed entries, grow if the living ones need it, and build the slots anew. */
static void
rebuild(struct map *m)
{
	size_t out = 0;

	for (size_t i = 0; i < m->used; i++)
		if (m->entries[i].key)
			m->entries[out++] = m->entries[i];
	m->used = out;
	if (m->cap == 0)
		m->cap = FIRST_CAP;
	while (m->live + 1 > m->cap / 4 * 3)
		m->cap *= 2;
	m->entries = xrealloc(m->entries, m->cap, sizeof(*m->entries));
	free(m->slots);
	m->slot_count = m->cap * 2;
	m->slots = xcalloc(m->slot_count, sizeof(*m->slots));
	for (size_t i = 0; i < m->used; i++)
		insert_slot(m, i);
}

void *
map_get(const struct map *m, const char *key)
{
	const struct entry *e = find(m, key);

	return e ? e->value : NULL;
}

void
map_set(struct map *m, const char *key, void *value)
{
	struct entry *e = find(m, key);

	if (e) {
		void *old = e->value;

		e->value = value;
		if (old != value)
			free_value(m, old);
		return;
	}
	if (m->used == m->cap)
		rebuild(m);
	m->entries[m->used] = (struct entry){ xstrdup(key), value, hash_of(m, key) };
	insert_slot(m, m->used);
	m->used++;
	m->live++;
}

/* The slot keeps naming the dead entry, so that searches go on past it. */
void *
map_take(struct map *m, const char *key)
{
	struct entry *e = find(m, key);
	void *value;

	if (!e)
		return NULL;
	value = e->value;
	free(e->key);
	e->key = NULL;
	e->value = NULL;
	m->live--;
	return value;
}

size_t
map_len(const struct map *m)
{
	return m ? m->live : 0;
}

int
map_next(const struct map *m, size_t *iter, const char **ret_key, void **ret_value)
{
	while (m && *iter < m->used) {
		const struct entry *e = &m->entries[(*iter)++];

		if (!e->key)
			continue;
		if (ret_key)
			*ret_key = e->key;
		if (ret_value)
			*ret_value = e->value;
		return 1;
	}
	return 0;
}
