/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/pcap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PCAP_MAGIC_NS      0xa1b23c4du /* nanoseconds, in the byte order of the writer */
#define PCAP_SNAP_BYTES    262144u
#define PCAP_LINK_ETHERNET 1u
#define NS_PER_S           1000000000ull

struct pcap_file_header {
	uint32_t magic;
	uint16_t version_major, version_minor;
	int32_t zone_s;
	uint32_t accuracy;
	uint32_t snap_bytes;
	uint32_t link_type;
};

struct pcap_frame_header {
	uint32_t time_s, time_ns;
	uint32_t captured_bytes;
	uint32_t wire_bytes;
};

struct pcap_writer {
	FILE *file;
	uint64_t frames;
	int error; /* first error, negative */
};

static int put(struct pcap_writer *writer, const void *data, size_t len)
{
	if (writer->error == 0 && len > 0 && fwrite(data, len, 1, writer->file) != 1)
		writer->error = errno ? -errno : -EIO;
	return writer->error;
}

int pcap_writer_open(struct pcap_writer **out, const char *path)
{
	const struct pcap_file_header header = {
		.magic = PCAP_MAGIC_NS,
		.version_major = 2,
		.version_minor = 4,
		.snap_bytes = PCAP_SNAP_BYTES,
		.link_type = PCAP_LINK_ETHERNET,
	};
	struct pcap_writer *writer = calloc(1, sizeof(*writer));
	int err;

	if (!writer)
		return -ENOMEM;
	writer->file = fopen(path, "wbe");
	if (!writer->file) {
		err = -errno;
		free(writer);
		return err;
	}
	err = put(writer, &header, sizeof(header));
	if (err) {
		pcap_writer_close(writer);
		return err;
	}
	*out = writer;
	return 0;
}

int pcap_writer_frame(struct pcap_writer *writer, uint64_t time_ns, const struct iovec *iov,
		      unsigned int iov_count)
{
	struct pcap_frame_header header = {
		.time_s = (uint32_t)(time_ns / NS_PER_S),
		.time_ns = (uint32_t)(time_ns % NS_PER_S),
	};
	uint32_t left;
	unsigned int i;

	for (i = 0; i < iov_count; i++)
		header.wire_bytes += (uint32_t)iov[i].iov_len;
	left = header.wire_bytes < PCAP_SNAP_BYTES ? header.wire_bytes : PCAP_SNAP_BYTES;
	header.captured_bytes = left;
	put(writer, &header, sizeof(header));
	for (i = 0; i < iov_count && left > 0; i++) {
		uint32_t part = iov[i].iov_len < left ? (uint32_t)iov[i].iov_len : left;

		put(writer, iov[i].iov_base, part);
		left -= part;
	}
	if (writer->error == 0)
		writer->frames++;
	return writer->error;
}

uint64_t pcap_writer_frames(const struct pcap_writer *writer)
{
	return writer->frames;
}

int pcap_writer_close(struct pcap_writer *writer)
{
	int err;

	if (!writer)
		return 0;
	err = writer->error;
	if (fclose(writer->file) != 0 && err == 0)
		err = -errno;
	free(writer);
	return err;
}
