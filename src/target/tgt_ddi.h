/* SPDX-License-Identifier: BSD-2-Clause */
/* tgt_ddi.h - the ten chimney handlers of the target, for MiniportSetOptions. */
#ifndef TARGET_TGT_DDI_H
#define TARGET_TGT_DDI_H

#include <ndis/ndis.h>
#include <ndis/ndischimney.h>

extern NDIS_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS tgt_generic_characteristics;
extern NDIS_PROVIDER_CHIMNEY_OFFLOAD_TCP_CHARACTERISTICS tgt_tcp_characteristics;

#endif
