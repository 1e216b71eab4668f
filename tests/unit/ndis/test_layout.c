/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What static assertions cannot ask: on which bits the bit-fields lie, and that the names of
 * functions are those of the published header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ndis/ndis_layout_asserts.h>

#include "req.h"

static uint32_t word_at(const void *structure, size_t offset)
{
	uint32_t word;

	memcpy(&word, (const uint8_t *)structure + offset, sizeof(word));
	return word;
}

static void test_bits_of_state(void **state)
{
	NEIGHBOR_OFFLOAD_STATE_CONST neighbor = { .VlanId = 0xABC };
	TCP_OFFLOAD_STATE_CONST tcp = { .SndWindScale = 0x5, .RcvWindScale = 0xE };
	TCP_OFFLOAD_STATE_CACHED cached = { .FlowLabel = 0xFEDCB };
	TCP_OFFLOAD_STATE_CACHED priority = { .UserPriority = 6 };

	(void)state;
	assert_int_equal(word_at(&neighbor, 0x28), 0xABC);
	assert_int_equal(((uint8_t *)&tcp)[0x0E], 0xE5);
	assert_int_equal(word_at(&cached, 0x24), 0xFEDCB);
	assert_int_equal(((uint8_t *)&priority)[0x2A], 6);
}

static void test_bits_of_capabilities(void **state)
{
	NDIS_TCP_CONNECTION_OFFLOAD v4 = { .SupportIPv4 = 3 };
	NDIS_TCP_CONNECTION_OFFLOAD v6 = { .SupportIPv6 = 3 };
	NDIS_TCP_CONNECTION_OFFLOAD extension = { .SupportIPv6ExtensionHeaders = 3 };
	NDIS_TCP_CONNECTION_OFFLOAD sack = { .SupportSack = 3 };
	NDIS_TCP_CONNECTION_OFFLOAD congestion = { .CongestionAlgorithm = 0xF };

	(void)state;
	assert_int_equal(word_at(&v4, 8), 0x003);
	assert_int_equal(word_at(&v6, 8), 0x00C);
	assert_int_equal(word_at(&extension, 8), 0x030);
	assert_int_equal(word_at(&sack, 8), 0x0C0);
	assert_int_equal(word_at(&congestion, 8), 0xF00);
}

/* The shared members are the ones that both structures name; the rest is the pair of words at 0x30
 * and 0x38. */
static void test_block_lists_overlay(void **state)
{
	(void)state;
#define SAME(member)                                                                               \
	(offsetof(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST, member) ==                                     \
	 offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, member))
	REQ("BLK-18",
	    sizeof(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST) == sizeof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST) &&
		    SAME(Header) && SAME(NextBlock) && SAME(DependentBlockList) && SAME(Status) &&
		    SAME(ProtocolReserved) && SAME(MiniportReserved) && SAME(ImReserved) &&
		    SAME(Scratch) && SAME(SourceHandle) && SAME(PortNumber) &&
		    SAME(NetBufferListChain) &&
		    offsetof(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST, NdisReserved[2]) ==
			    offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, MiniportOffloadContext) &&
		    offsetof(NDIS_PROTOCOL_OFFLOAD_BLOCK_LIST, OffloadHandle) ==
			    offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, NdisOffloadHandle));
	REQ("BLK-32",
	    offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, PortNumber) >
			    offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, SourceHandle) &&
		    offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, PortNumber) <
			    offsetof(NDIS_MINIPORT_OFFLOAD_BLOCK_LIST, NetBufferListChain));
}

static void test_names(void **state)
{
	VOID (*query)(NDIS_HANDLE, PNDIS_PROTOCOL_OFFLOAD_BLOCK_LIST) = NdisQueryOffloadState;
	VOID (*receive_return)(NDIS_HANDLE, PNET_BUFFER_LIST) = NdisOffloadTcpReceiveReturn;
	NDIS_TCP_OFFLOAD_EVENT_HANDLERS table = { 0 };

	(void)state;
	/* The names and types compile; the members exist under the header's spelling. */
	REQ("REG-21",
	    query && !table.NdisTcpOffloadReceiveHandler && !table.NdisTcpOffloadEventHandler &&
		    !table.NdisTcpOffloadSendComplete && !table.NdisTcpOffloadForwardComplete);
	REQ("RCV-78", receive_return != NULL);
	REQ("REG-19", NDIS_STATUS_SUCCESS == STATUS_SUCCESS &&
			      NDIS_STATUS_NOT_SUPPORTED == STATUS_NOT_SUPPORTED);
}

/* Walking by Length: every state starts at a multiple of 8, whatever the sizes in front of it. */
static void test_state_walk(void **state)
{
	uint64_t memory[64] = { 0 };
	OFFLOAD_STATE_HEADER *first = NdisOffloadFirstState(memory), *second, *third;

	(void)state;
	assert_ptr_equal(first, (uint8_t *)memory + 0x98);
	first->Length = sizeof(TCP_OFFLOAD_STATE_CONST);
	second = NdisOffloadNextState(first);
	assert_ptr_equal(second, (uint8_t *)memory + 0xB0);
	second->Length = sizeof(TCP_OFFLOAD_STATE_CACHED);
	third = NdisOffloadNextState(second);
	REQ("BLK-31", (uint8_t *)third == (uint8_t *)memory + 0xE0 && (uintptr_t)third % 8 == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits_of_state),
		cmocka_unit_test(test_bits_of_capabilities),
		cmocka_unit_test(test_block_lists_overlay),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_state_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
