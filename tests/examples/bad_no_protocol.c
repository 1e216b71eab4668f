/* SPDX-License-Identifier: BSD-2-Clause */
/* An intermediate driver that never says which protocol edge belongs to its miniport edge. */
#include <ndis/ndis.h>

#define NdisIMAssociateMiniport(miniport, protocol) ((void)(miniport), (void)(protocol))
#include "../../examples/im-min/im_min.c"
