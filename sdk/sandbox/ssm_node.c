/* SPDX-License-Identifier: Apache-2.0 */
/* What a node calls of the ssm service. */

#include "core/base/json.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/store.h"

static void
update_instance_information(struct exchange *ex)
{
	struct node *node = store_node(ex->sb, json_str(ex->request, "InstanceId", ""), false);
	int64_t now = sandbox_now_ms(ex->sb);

	if (!node) {
		exchange_refuse(ex, 400, "InvalidInstanceId", "no such instance in this account");
		return;
	}
	/* The short form proves that the service may be called; it does not take back what the
	 * full one said. */
	if (!node->info)
		node->info = json_object();
	json_object_update(node->info, ex->request);
	if (!node->pings++)
		node->registered_ms = now;
	node->last_ping_ms = now;
	state_touch(ex->sb);
	control_on_node(ex->sb, node);
	exchange_answer_json(ex, json_object());
}

static const char *const platforms[] = { "Windows", "Linux", "MacOS", NULL };

static const struct shape information_members[] = {
	{ .name = "AgentName", .type = SHAPE_STRING, .min = 1 },
	{ .name = "AgentStatus", .type = SHAPE_STRING, .min = 1 },
	{ .name = "AgentVersion", .type = SHAPE_STRING, .min = 5 },
	{ .name = "AvailabilityZone", .type = SHAPE_STRING },
	{ .name = "AvailabilityZoneId", .type = SHAPE_STRING },
	{ .name = "ComputerName", .type = SHAPE_STRING, .min = 1, .max = 255 },
	{ .name = "IPAddress", .type = SHAPE_STRING, .min = 1, .max = 46 },
	{ .name = "InstanceId", .type = SHAPE_STRING, .required = true, .min = 10 },
	{ .name = "PlatformName", .type = SHAPE_STRING },
	{ .name = "PlatformType", .type = SHAPE_STRING, .allowed = platforms },
	{ .name = "PlatformVersion", .type = SHAPE_STRING },
	{ .name = "SSMConnectionChannel", .type = SHAPE_STRING },
	{ .name = NULL },
};
const struct operation ssm_node_operations[] = {
	{ "UpdateInstanceInformation", true, false, information_members,
	  update_instance_information },
	{ NULL, false, false, NULL, NULL },
};
