/* What is seen of the processes after an operation, as one line of JSON. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kernel.h"

/* Letters given out so far in one observation: to frames of anonymous memory, and to those of the page cache. */
struct classes {
	int count;
	uint64_t frame[PROCESSES * PAGES];
};

static char letterOf(struct classes *classes, uint64_t frame, char first)
{
	int i = 0;
	while (i < classes->count && classes->frame[i] != frame)
		i++;
	if (i == classes->count)
		classes->frame[classes->count++] = frame;
	return (char)(first + i);
}

static uint64_t zeroFrame;

#define PRESENT (1ULL << 63)
#define SWAPPED (1ULL << 62)
#define OF_FILE (1ULL << 61)
#define FRAME ((1ULL << 55) - 1)

/*
 * Which frames the pages have, and which pages have another frame than at the observation before. A frame that was
 * there before an operation is not free during it, so one that is there afterwards is the same page, not a new one that
 * happens to be where it was.
 */
static void printFrames(void)
{
	struct classes anonymous = { 0 }, cached = { 0 };
	char frames[PROCESSES][PAGES + 1] = { 0 }, changed[PROCESSES][PAGES + 1] = { 0 };
	for (int i = 0; i < PROCESSES; i++) {
		uint64_t entries[PAGES];
		struct process *process = &processes[i];
		if (process->pid == 0)
			continue;
		if (pread(process->pagemap, entries, sizeof entries, (off_t)((uintptr_t)AREA / PAGE * 8)) != sizeof entries)
			fail("/proc/PID/pagemap is cut short");
		for (int page = 0; page < PAGES; page++) {
			uint64_t entry = entries[page], before = process->entries[page], frame = entry & FRAME;
			frames[i][page] = entry & SWAPPED      ? '?'
					  : !(entry & PRESENT) ? '-'
					  : frame == zeroFrame ? '0'
					  : (entry & OF_FILE)  ? letterOf(&cached, frame, 'A')
							       : letterOf(&anonymous, frame, 'a');
			changed[i][page] = (entry & before & PRESENT) && frame != (before & FRAME) ? '!' : '-';
		}
		memcpy(process->entries, entries, sizeof entries);
	}
	printf("\"frames\":[");
	for (int i = 0; i < PROCESSES; i++)
		printf(processes[i].pid ? "%s\"%s\"" : "%snull", i ? "," : "", frames[i]);
	printf("],\"changed\":[");
	for (int i = 0; i < PROCESSES; i++)
		printf(processes[i].pid ? "%s\"%s\"" : "%snull", i ? "," : "", changed[i]);
	printf("]");
}

static void printBacking(ino_t number)
{
	for (int i = 0; i < FILES; i++)
		if (inode[i] == number) {
			printf("%d", i);
			return;
		}
	printf("null");
}

static void printAreasOf(const struct process *process)
{
	static char text[1 << 16];
	size_t size = 0;
	ssize_t got;
	bool first = true;
	checked((int)lseek(process->maps, 0, SEEK_SET), "lseek");
	while ((got = read(process->maps, text + size, sizeof text - 1 - size)) > 0)
		size += (size_t)got;
	checked((int)got, "/proc/PID/maps");
	text[size] = 0;
	printf("[");
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		unsigned long start, end, offset, number;
		char permissions[5];
		if (sscanf(line, "%lx-%lx %4s %lx %*s %lu", &start, &end, permissions, &offset, &number) != 5)
			fail("/proc/PID/maps is not understood: %s", line);
		if (start < (unsigned long)AREA || end > (unsigned long)AREA + PAGES * PAGE)
			continue;
		printf("%s{\"start\":%lu,\"pages\":%lu,\"protection\":\"%s\",\"sharing\":\"%s\",\"file\":", first ? "" : ",",
		       (start - (unsigned long)AREA) / PAGE, (end - start) / PAGE,
		       permissions[1] == 'w' ? "rw" : permissions[0] == 'r' ? "r" : "none",
		       permissions[3] == 's' ? "shared" : "private");
		printBacking(number);
		printf(",\"offset\":%lu}", offset / PAGE);
		first = false;
	}
	printf("]");
}

static const char *signalName(int number)
{
	return number == SIGSEGV ? "SIGSEGV" : number == SIGBUS ? "SIGBUS" : "unknown";
}

void report(int sequence, int position, struct reply reply)
{
	printf("{\"sequence\":%d,\"operation\":%d,\"result\":", sequence, position);
	switch (reply.kind) {
	case OK:
		printf("{\"kind\":\"ok\"}");
		break;
	case VALUE:
		printf("{\"kind\":\"value\",\"value\":%d}", reply.number);
		break;
	case ERROR:
		printf("{\"kind\":\"error\",\"errno\":\"%s\"}", strerrorname_np(reply.number));
		break;
	case SIGNAL:
		printf("{\"kind\":\"signal\",\"signal\":\"%s\"}", signalName(reply.number));
		break;
	case SKIPPED:
		printf("{\"kind\":\"skipped\"}");
		break;
	}
	printf(",");
	printFrames();
	printf(",\"areas\":[");
	for (int i = 0; i < PROCESSES; i++) {
		printf("%s", i ? "," : "");
		if (processes[i].pid == 0)
			printf("null");
		else
			printAreasOf(&processes[i]);
	}
	printf("]}\n");
}

/* The frame of the zero page is the one that is read where nothing has been written yet. */
void findZeroFrame(void)
{
	volatile char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;
	int pagemap = checked(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), "/proc/self/pagemap");
	if (page == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	(void)*page;
	if (pread(pagemap, &entry, sizeof entry, (off_t)((uintptr_t)page / PAGE * 8)) != sizeof entry)
		fail("/proc/self/pagemap: %s", strerror(errno));
	zeroFrame = entry & FRAME;
	if (!(entry & PRESENT) || zeroFrame == 0)
		fail("/proc/self/pagemap does not show frame numbers: no CAP_SYS_ADMIN");
	close(pagemap);
}
