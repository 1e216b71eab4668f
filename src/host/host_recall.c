/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/host_recall.h"

#define RTO_MIN_US 200000u /* as the kernel's */

static uint64_t rto_us(const struct host_recall *recall)
{
	uint64_t us = recall->srtt_us + 4 * recall->rttvar_us;

	return us > RTO_MIN_US ? us : RTO_MIN_US;
}

void host_recall_note(struct host_recall *recall, const struct host_image *image, uint64_t now_us)
{
	*recall = (struct host_recall){
		.noted_us = now_us,
		.srtt_us = image->srtt_us,
		.rttvar_us = image->rttvar_us,
		.cwnd_bytes = image->cwnd_bytes,
		.ssthresh_bytes = image->ssthresh_bytes,
		.snd_una = image->snd_una,
	};
	if (image->rexmt_left_ticks != HOST_TICKS_STOPPED)
		recall->rexmt_due_us = now_us + image->rexmt_left_ticks * (uint64_t)1000;
}

/* The timer runs for the segment it ran for, whoever has it; at most one timeout more. */
static void apply_timer(const struct host_recall *recall, struct host_image *image, uint64_t now_us)
{
	uint64_t due_us = now_us + rto_us(recall);

	if (recall->rexmt_due_us && recall->snd_una == image->snd_una &&
	    recall->rexmt_due_us < due_us)
		due_us = recall->rexmt_due_us;
	image->rexmt_left_ticks = due_us > now_us ? (uint32_t)((due_us - now_us) / 1000) + 1 : 1;
}

void host_recall_apply(const struct host_recall *recall, struct host_image *image, uint64_t now_us)
{
	if (!recall->noted_us || !recall->srtt_us || image->srtt_us)
		return;
	image->srtt_us = recall->srtt_us;
	image->rttvar_us = recall->rttvar_us;
	if (image->rexmt_left_ticks != HOST_TICKS_STOPPED)
		apply_timer(recall, image, now_us);
	/* as long as an idle connection may keep its window (RFC 5681, 4.1) */
	if (now_us - recall->noted_us > rto_us(recall) || image->ssthresh_bytes != UINT32_MAX)
		return;
	image->ssthresh_bytes = recall->ssthresh_bytes;
	if (image->cwnd_bytes < recall->cwnd_bytes)
		image->cwnd_bytes = recall->cwnd_bytes;
}
