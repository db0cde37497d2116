/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: a topic handler provides them, and from then on its process is driven by events; what a
 * session type asks for goes to the provider, whichever plugin either of them is. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/base/json.h"
#include "core/host/host.h"

int32_t
api_session_provide(struct ssm *S, const struct ssm_session_table *t)
{
	struct instance *i = host_instance(S);
	struct host *h = i->host;

	if (!host_own_thread())
		return -EINVAL;
	if (json_int(h->hello, "kind", 0) != SSM_KIND_TOPIC)
		return ssm_fail(S, -ENOSYS, "only a topic handler can provide sessions");
	if (h->provider)
		return ssm_fail(S, -EALREADY, "the sessions of this process are provided already");
	if (!t || t->size < sizeof(*t) || !t->str || !t->send || !t->end)
		return ssm_fail(S, -EINVAL, "session_provide needs a size and all three functions");
	memcpy(&h->sessions, t, sizeof(h->sessions));
	h->provider = i;
	h->event_driven = true;
	return 0;
}

/* NULL: there is nobody to ask, which is recorded. */
static struct instance *
provider_for(struct ssm *S, const char *what)
{
	struct instance *p = host_own_thread() ? host_instance(S)->host->provider : NULL;

	if (!p)
		(void)ssm_fail(S, -ENOSYS, "%s is for sessions, and this process has none", what);
	return p;
}

/* Why the provider failed is why the call failed. */
static int32_t
pass_on(struct ssm *S, const struct instance *provider, int32_t r)
{
	if (r >= 0 || r == -EAGAIN || provider == host_instance(S))
		return r;
	return ssm_fail(S, r, "%s", provider->error ? provider->error : strerror(-r));
}

const char *
api_session_str(struct ssm *S, struct ssm_session *s, const char *pointer, const char *preset)
{
	struct instance *p = provider_for(S, "session_str");

	return p ? p->host->sessions.str(&p->ssm, s, pointer, preset) : preset;
}

int32_t
api_session_send(struct ssm *S, struct ssm_session *s, uint32_t type, const void *data, size_t len)
{
	struct instance *p = provider_for(S, "session_send");

	if (!p)
		return -ENOSYS;
	return pass_on(S, p, p->host->sessions.send(&p->ssm, s, type, data, len));
}

int32_t
api_session_end(struct ssm *S, struct ssm_session *s, int32_t result, const char *text)
{
	struct instance *p = provider_for(S, "session_end");

	if (!p)
		return -ENOSYS;
	return pass_on(S, p, p->host->sessions.end(&p->ssm, s, result, text));
}

void
sessions_run(struct host *h, const struct ssm_message *m)
{
	host_wait(h, &m->final_sent);
	watches_free(h);
}
