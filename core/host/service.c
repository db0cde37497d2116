/* SPDX-License-Identifier: Apache-2.0 */
/* A background service: started, notified, stopped; between that its own callbacks run. */
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/host/host.h"
#include "core/host/link.h"
#include "core/ipc/wire.h"

struct ssm_service { /* the SDK's opaque name for it */
	struct instance *owner;
	struct ssm_service_ops ops;
};

/* Why global: a process has one service. */
static struct ssm_service *running;

void
service_notify(struct host *h, const char *event, const char *json, size_t len)
{
	int32_t r;

	if (!running || running->owner->host != h || !running->ops.notify)
		return;
	r = running->ops.notify(&running->owner->ssm, running, event, json ? json : "", len);
	if (r < 0) {
		autofree char *why = host_failure(running->owner, r);

		log_warn("host", "'%s' was not taken: %s", event, why);
	}
}

static int32_t
tell(struct ssm *S, json_t *m)
{
	struct host *h = host_instance(S)->host;

	return link_send(h->link, m, NULL, 0) == 0 ? 0 : -EPIPE;
}

static int32_t
is_service(struct ssm *S, const char *what)
{
	if (!host_own_thread())
		return -EINVAL;
	return running ? 0 : ssm_fail(S, -ENOSYS, "%s is for services", what);
}

int32_t
api_reply_done(struct ssm *S, const char *reply_id, int32_t status)
{
	int32_t r = is_service(S, "reply_done");
	json_t *m;

	if (r < 0)
		return r;
	m = wire_new("reply-done");
	json_object_set_new(m, "reply_id", json_string(reply_id));
	json_object_set_new(m, "status", json_integer(status));
	return tell(S, m);
}

int32_t
api_service_state(struct ssm *S, struct ssm_service *service, const char *state)
{
	int32_t r = is_service(S, "service_state");
	json_t *m;

	if (r < 0)
		return r;
	if (service != running ||
	    (strcmp(state, "open") != 0 && strcmp(state, "closed") != 0 &&
	     strcmp(state, "denied") != 0))
		return ssm_fail(S, -EINVAL, "the state of a service is open, closed or denied");
	m = wire_new("service-state");
	json_object_set_new(m, "state", json_string(state));
	return tell(S, m);
}

int32_t
service_run(struct instance *i, const struct ssm_feature *f, const bool *stop)
{
	const struct ssm_service_ops *theirs = f->ops;
	struct ssm_service service = {.owner = i};
	struct host *h = i->host;
	int32_t r;

	memcpy(&service.ops, theirs,
	       theirs->size < sizeof(service.ops) ? theirs->size : sizeof(service.ops));
	if (!service.ops.start)
		return ssm_fail(&i->ssm, -ENOSYS, "the service has no start function");
	running = &service;
	r = service.ops.start(&i->ssm, &service);
	while (r >= 0 && !*stop && !h->cancelled && !(h->link && link_is_away(h->link)))
		event_base_loop(h->base, EVLOOP_ONCE);
	if (r >= 0 && service.ops.stop)
		service.ops.stop(&i->ssm, &service);
	running = NULL;
	watches_free(h);
	return r;
}
