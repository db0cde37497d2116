/* SPDX-License-Identifier: Apache-2.0 */
/* Injected failures: which requests they hit, how often, and what happens to those. */
#include "sdk/sandbox/faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define HUGE_BYTES ((size_t)16 << 20)
#define NESTED_BYTES ((size_t)100000)

struct fault {
	struct list link;
	struct fault_hit hit;
	char *service, *operation;
	int64_t nth;   /* the first request that it hits, from 1 */
	int64_t count; /* how many it hits; -1: all */
	double probability;
	int64_t seen, hits;
};

struct faults {
	struct list all;
	unsigned last_id;
};

static const char *const kinds[] = { "none", "status",	 "delay",   "reset",	"close",
				     "hang", "truncate", "garbage", "slow",	"duplicate",
				     "drop", "reorder", "corrupt" };
static const char *const garbages[] = { "html", "binary", "huge", "nested", "empty" };

struct faults *
faults_new(void)
{
	struct faults *f = xcalloc(1, sizeof(*f));

	list_init(&f->all);
	return f;
}

static void
free_fault(struct fault *fault)
{
	list_remove(&fault->link);
	free(fault->service);
	free(fault->operation);
	free(fault);
}

struct faults *
faults_free(struct faults *f)
{
	if (!f)
		return NULL;
	faults_clear(f, 0);
	free(f);
	return NULL;
}

static int
index_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

static int
check_members(const json_t *spec, struct err *e)
{
	static const char *const known[] = {
		"kind",	       "service",     "operation", "count",   "nth",
		"probability", "when",	      "delay_ms",  "status",  "code",
		"message",     "retry_after", "op",	   "garbage", "keep_bytes",
		"every_ms",    "retry_date",
	};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)spec, key,
			    value) if (index_of(known, NELEMS(known), key) <
				       0) return err_set(e, -EINVAL, "a fault has no member '%s'",
							 key);
	return 0;
}

static double
number_of(const json_t *spec, const char *key, double preset)
{
	const json_t *v = json_object_get(spec, key);

	return json_is_number(v) ? json_number_value(v) : preset;
}

static int
fill_hit(struct fault_hit *hit, const json_t *spec, struct err *e)
{
	const char *kind = json_str(spec, "kind", "");
	const char *garbage = json_str(spec, "garbage", "html");
	int k = index_of(kinds, NELEMS(kinds), kind),
	    g = index_of(garbages, NELEMS(garbages), garbage);
	const char *when;

	if (k <= 0)
		return err_set(e, -EINVAL,
			       "fault kind '%s' is none of status, delay, reset, close, hang, "
			       "truncate, garbage, slow, duplicate, drop, reorder, corrupt",
			       kind);
	if (g < 0)
		return err_set(e, -EINVAL,
			       "garbage '%s' is none of html, binary, huge, nested, empty",
			       garbage);
	hit->kind = (enum fault_kind)k;
	hit->garbage = (enum garbage_kind)g;
	when = json_str(spec, "when", hit->kind == FAULT_TRUNCATE ? "after" : "before");
	hit->after = strcmp(when, "after") == 0;
	hit->delay_ms = json_int(spec, "delay_ms", hit->kind == FAULT_DELAY ? 1000 : 0);
	hit->status = (unsigned)json_int(spec, "status", hit->kind == FAULT_GARBAGE ? 200 : 500);
	hit->retry_after = json_int(spec, "retry_after", 0);
	hit->retry_date = strcmp(json_str(spec, "retry_date", "no"), "yes") == 0;
	hit->every_ms = json_int(spec, "every_ms", 1000);
	/* Of a frame, the byte that is spoilt: the first of its payload. */
	hit->keep_bytes = json_int(spec, "keep_bytes", hit->kind == FAULT_CORRUPT ? 120 : 10);
	snprintf(hit->code, sizeof(hit->code), "%s", json_str(spec, "code", ""));
	snprintf(hit->message, sizeof(hit->message), "%s",
		 json_str(spec, "message", "injected by the sandbox"));
	if (hit->status < 200 || hit->status > 599)
		return err_set(e, -EINVAL, "fault status %u is not in 200..599", hit->status);
	return 0;
}

int
faults_add(struct faults *f, const json_t *spec, struct err *e)
{
	struct fault_hit hit = { 0 };
	struct fault *fault;
	int err = check_members(spec, e);

	if (!err)
		err = fill_hit(&hit, spec, e);
	if (err)
		return err;
	fault = xcalloc(1, sizeof(*fault));
	fault->hit = hit;
	fault->hit.id = ++f->last_id;
	fault->service = xstrdup(json_str(spec, "service", "*"));
	fault->operation = xstrdup(json_str(spec, "operation", "*"));
	fault->nth = json_int(spec, "nth", 1);
	fault->count = json_int(spec, "count", json_object_get(spec, "nth") ? 1 : -1);
	fault->probability = number_of(spec, "probability", 1.0);
	list_append(&f->all, &fault->link);
	return (int)fault->hit.id;
}

int
faults_add_text(struct faults *f, const char *text, struct err *e)
{
	autostrv char **items = strv_split(text, ",");
	autojson json_t *spec = json_object();

	for (size_t i = 0; i < strv_len(items); i++) {
		char *value = strchr(items[i], '=');
		int64_t number;

		if (!value)
			return err_set(e, -EINVAL, "'%s' in a fault is not KEY=VALUE", items[i]);
		*value++ = '\0';
		if (text_to_i64(value, INT64_MIN, INT64_MAX, &number) == 0)
			json_object_set_new(spec, items[i], json_integer(number));
		else if (strcmp(items[i], "probability") == 0)
			json_object_set_new(spec, items[i], json_real(strtod(value, NULL)));
		else
			json_object_set_new(spec, items[i], json_string(value));
	}
	return faults_add(f, spec, e);
}

int
faults_clear(struct faults *f, unsigned id)
{
	int n = 0;

	list_each(it, tmp, &f->all) {
		struct fault *fault = list_entry(it, struct fault, link);

		if (id && fault->hit.id != id)
			continue;
		free_fault(fault);
		n++;
	}
	return n;
}

json_t *
faults_list(const struct faults *f)
{
	json_t *out = json_array();

	list_each(it, tmp, &f->all) {
		const struct fault *fault = list_entry(it, struct fault, link);

		json_array_append_new(out,
				      json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "id",
						(int)fault->hit.id, "kind", kinds[fault->hit.kind],
						"service", fault->service, "operation",
						fault->operation, "nth", (json_int_t)fault->nth,
						"count", (json_int_t)fault->count, "seen",
						(json_int_t)fault->seen, "hits",
						(json_int_t)fault->hits));
	}
	return out;
}

static bool
hits(struct fault *fault)
{
	if (++fault->seen < fault->nth || (fault->count >= 0 && fault->hits >= fault->count))
		return false;
	if (fault->probability < 1.0 &&
	    (double)rand_between(0, 999999) >= fault->probability * 1000000.0)
		return false;
	fault->hits++;
	return true;
}

void
faults_pick(struct faults *f, const char *service, const char *operation, struct fault_hit *ret)
{
	memset(ret, 0, sizeof(*ret));
	list_each(it, tmp, &f->all) {
		struct fault *fault = list_entry(it, struct fault, link);

		if (!text_glob(fault->service, service) || !text_glob(fault->operation, operation))
			continue;
		if (!hits(fault))
			continue;
		*ret = fault->hit;
		return;
	}
}

static char *
filled(size_t len, char c, size_t *ret_len)
{
	char *p = xmalloc(len + 1);

	memset(p, c, len);
	p[len] = '\0';
	*ret_len = len;
	return p;
}

char *
faults_garbage(enum garbage_kind kind, size_t *ret_len, const char **ret_type)
{
	static const char html[] = "<html><head><title>503 Service Unavailable</title></head>"
				   "<body>The proxy has no bread.</body></html>\n";
	char *p;

	*ret_type = kind == GARBAGE_HTML ? "text/html" : "application/x-amz-json-1.1";
	if (kind == GARBAGE_HUGE)
		p = filled(HUGE_BYTES, ' ', ret_len);
	else if (kind == GARBAGE_NESTED)
		p = filled(NESTED_BYTES, '[', ret_len);
	else if (kind == GARBAGE_BINARY) {
		p = filled(4096, '\0', ret_len);
		rand_bytes(p, *ret_len);
	} else {
		p = xstrdup(kind == GARBAGE_HTML ? html : "");
		*ret_len = strlen(p);
	}
	return p;
}

const char *
faults_kind_name(enum fault_kind kind)
{
	return kinds[kind];
}
