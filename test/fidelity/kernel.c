/*
 * Performs sequences of memory-management operations with real processes and reports what the kernel made of them.
 *
 * Sequences come on standard input, one operation a line (the grammar is in kernel.ts, which writes it); on standard
 * output goes one JSON object for each operation: its result, and what every process then has mapped where.
 *
 * One coordinator, which is this program as it was started, has a pipe to and from each process of a sequence and lets
 * one process do one thing at a time. Process 0 of every sequence is forked afresh from the coordinator, the others by
 * the process that is told to fork, so that what they have is a true copy of that process's address space; CLONE_PARENT
 * makes them the coordinator's children all the same, which can so wait for each. The coordinator itself changes
 * files, reads the pipe of page references and observes: it never has anything mapped in the area.
 *
 * The area is the last eight pages that a process can have (four levels of page tables): so a range that runs past
 * its end is one that the kernel itself refuses, and neither program nor stack is anywhere near.
 *
 * Everything runs on one processor, and before every operation the coordinator has the processor's batches of pages on
 * their way to the LRU lists emptied. A page in such a batch has one reference more, so that a write to it copies where
 * it would have been used again: that depends on what ran before and is nothing that a sequence determines.
 * The argument "unsettled" leaves out both, to see the difference.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

enum { PAGE = 4096, PAGES = 8, PROCESSES = 3, FILES = 2, FILE_PAGES = 4, LONGEST = 16, REPLY_MS = 5000, SEQUENCE_S = 30 };

/* TASK_SIZE with four levels of page tables, less eight pages. */
static char *const area = (char *)(0x7ffffffff000UL - PAGES * PAGE);

enum operation { MMAP, MUNMAP, MPROTECT, MREMAP, MADVISE, FORK, EXIT, READ, WRITE, PAGE_READER, VMSPLICE, READ_PIPE, FTRUNCATE };

/* Whose first argument is a process; the others the coordinator does itself. */
static const struct {
	const char *name;
	enum operation operation;
	int arguments;
	bool byProcess;
} operations[] = {
	{ "mmap", MMAP, 7, true },
	{ "munmap", MUNMAP, 3, true },
	{ "mprotect", MPROTECT, 4, true },
	{ "mremap", MREMAP, 5, true },
	{ "madvise", MADVISE, 4, true },
	{ "fork", FORK, 1, true },
	{ "exit", EXIT, 1, true },
	{ "read", READ, 2, true },
	{ "write", WRITE, 3, true },
	{ "pageReader", PAGE_READER, 3, true },
	{ "vmsplice", VMSPLICE, 2, true },
	{ "readPipe", READ_PIPE, 0, false },
	{ "ftruncate", FTRUNCATE, 2, false },
};

struct command {
	enum operation operation;
	int argument[7];
	pid_t target;
	int child; /* FORK: which process the new one is. */
};

struct reply {
	enum { OK, VALUE, ERROR, SIGNAL, SKIPPED } kind;
	int number; /* A value, an errno or a signal. */
	pid_t pid;  /* FORK: the new process. */
};

struct process {
	pid_t pid; /* 0: none yet, or gone. */
	int handle, pagemap, maps;
	int commands[2], replies[2];
	uint64_t entries[PAGES]; /* What was found at the last observation. */
};

static struct process processes[PROCESSES];
static int started; /* How many processes the sequence has had so far. */
static int file[FILES], references[2];
static ino_t inode[FILES];
static uint64_t zeroFrame;
static char *scratch; /* A page of address space that nothing is ever in. */
static bool settled = true;

static __attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...)
{
	va_list arguments;
	fflush(stdout);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	for (int i = 0; i < PROCESSES; i++)
		if (processes[i].pid > 0)
			kill(processes[i].pid, SIGKILL);
	exit(1);
}

static int checked(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
	return result;
}

/* ---- What a process of the sequence does. ---- */

static sigjmp_buf faulted;

static void onFault(int number)
{
	siglongjmp(faulted, number);
}

static struct reply outcome(long result)
{
	return result < 0 ? (struct reply){ .kind = ERROR, .number = errno } : (struct reply){ .kind = OK };
}

/* Reads or writes one byte at the start of a page; `value` < 0 reads. */
static struct reply touch(int page, int value)
{
	volatile unsigned char *const byte = (unsigned char *)area + page * PAGE;
	int number = sigsetjmp(faulted, 1);
	if (number != 0)
		return (struct reply){ .kind = SIGNAL, .number = number };
	if (value < 0)
		return (struct reply){ .kind = VALUE, .number = *byte };
	*byte = (unsigned char)value;
	return (struct reply){ .kind = OK };
}

static struct reply readPageOf(pid_t target, int page)
{
	unsigned char byte = 0;
	struct iovec to = { &byte, 1 }, from = { area + page * PAGE, 1 };
	ssize_t result = process_vm_readv(target, &to, 1, &from, 1, 0);
	return result < 0 ? outcome(result) : (struct reply){ .kind = VALUE, .number = byte };
}

/* Puts a reference to a page into the pipe: one byte of it, so that reading one byte gives the reference back. */
static struct reply reference(int page)
{
	struct iovec from = { area + page * PAGE, 1 };
	return outcome(vmsplice(references[1], &from, 1, SPLICE_F_NONBLOCK));
}

static struct reply map(const int *argument)
{
	int sharing = argument[4] ? MAP_SHARED : MAP_PRIVATE, backing = argument[5];
	void *result = mmap(area + argument[1] * PAGE, (size_t)argument[2] * PAGE, argument[3],
			    sharing | MAP_FIXED | (backing < 0 ? MAP_ANONYMOUS : 0), backing < 0 ? -1 : file[backing],
			    (off_t)argument[6] * PAGE);
	return outcome(result == MAP_FAILED ? -1 : 0);
}

static struct reply remap(const int *argument)
{
	char *old = area + argument[1] * PAGE;
	size_t oldLength = (size_t)argument[2] * PAGE, newLength = (size_t)argument[3] * PAGE;
	void *result = argument[4] < 0 ? mremap(old, oldLength, newLength, 0)
				       : mremap(old, oldLength, newLength, MREMAP_MAYMOVE | MREMAP_FIXED,
						area + argument[4] * PAGE);
	return outcome(result == MAP_FAILED ? -1 : 0);
}

static void receive(int from, void *to, size_t size)
{
	if (read(from, to, size) != (ssize_t)size)
		_exit(1);
}

static void answer(int to, struct reply reply)
{
	if (write(to, &reply, sizeof reply) != sizeof reply)
		_exit(1);
}

static void dieWithCoordinator(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		_exit(1);
}

/* The life of a process of the sequence, from its start or from the fork that made it. */
static __attribute__((noreturn)) void serve(int self)
{
	dieWithCoordinator();
	answer(processes[self].replies[1], (struct reply){ .kind = OK });
	for (;;) {
		struct command command;
		struct reply reply;
		receive(processes[self].commands[0], &command, sizeof command);
		const int *argument = command.argument;
		char *start = area + argument[1] * PAGE;
		size_t length = (size_t)argument[2] * PAGE;
		switch (command.operation) {
		case MMAP:
			reply = map(argument);
			break;
		case MUNMAP:
			reply = outcome(munmap(start, length));
			break;
		case MPROTECT:
			reply = outcome(mprotect(start, length, argument[3]));
			break;
		case MREMAP:
			reply = remap(argument);
			break;
		case MADVISE:
			reply = outcome(madvise(start, length, argument[3]));
			break;
		case FORK: {
			pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
			if (pid == 0) {
				/* The coordinator may not have been told yet who this is, and waits for the answer in any case. */
				self = command.child;
				dieWithCoordinator();
				reply = (struct reply){ .kind = OK };
				break;
			}
			reply = outcome(pid);
			reply.pid = pid;
			break;
		}
		case EXIT:
			_exit(0);
		case READ:
			reply = touch(argument[1], -1);
			break;
		case WRITE:
			reply = touch(argument[1], argument[2]);
			break;
		case PAGE_READER:
			reply = readPageOf(command.target, argument[2]);
			break;
		case VMSPLICE:
			reply = reference(argument[1]);
			break;
		default:
			_exit(1);
		}
		answer(processes[self].replies[1], reply);
	}
}

/* ---- What the coordinator does. ---- */

/* MADV_COLD empties the batches of the processor that it runs on before it looks at the range, which is empty here. */
static void settle(void)
{
	if (settled)
		checked(madvise(scratch, PAGE, MADV_COLD), "madvise(MADV_COLD) of the scratch page");
}

static struct reply awaitReply(int from, int position)
{
	struct pollfd ready = { .fd = processes[from].replies[0], .events = POLLIN };
	struct reply reply;
	if (checked(poll(&ready, 1, REPLY_MS), "poll") == 0)
		fail("operation %d: process %d does not answer", position, from);
	if (read(ready.fd, &reply, sizeof reply) != sizeof reply)
		fail("operation %d: process %d gives half an answer", position, from);
	return reply;
}

/* Takes up a process that has been forked, once it says that it is there. */
static void adopt(int which, pid_t pid, int position)
{
	struct process *process = &processes[which];
	char path[64];
	process->pid = pid;
	memset(process->entries, 0, sizeof process->entries);
	awaitReply(which, position);
	process->handle = checked((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open");
	snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
	process->pagemap = checked(open(path, O_RDONLY | O_CLOEXEC), path);
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	process->maps = checked(open(path, O_RDONLY | O_CLOEXEC), path);
	started = which + 1;
}

/* Waits until a process is gone, its memory with it: that is given back before the parent is told. */
static void bury(int which)
{
	struct process *process = &processes[which];
	struct pollfd gone = { .fd = process->handle, .events = POLLIN };
	if (checked(poll(&gone, 1, REPLY_MS), "poll") == 0)
		fail("process %d does not end", which);
	checked(waitpid(process->pid, NULL, 0), "waitpid");
	close(process->handle);
	close(process->pagemap);
	close(process->maps);
	process->pid = 0;
}

static struct reply readPipe(void)
{
	unsigned char byte = 0;
	ssize_t result = read(references[0], &byte, 1);
	return result < 0 ? outcome(result) : (struct reply){ .kind = VALUE, .number = byte };
}

static struct reply perform(struct command command, int position)
{
	int who = command.argument[0];
	bool byProcess = operations[command.operation].byProcess;
	struct reply reply;
	if (byProcess && processes[who].pid == 0)
		return (struct reply){ .kind = SKIPPED };
	switch (command.operation) {
	case READ_PIPE:
		return readPipe();
	case FTRUNCATE:
		return outcome(ftruncate(file[command.argument[0]], (off_t)command.argument[1] * PAGE));
	case FORK:
		if (started == PROCESSES)
			return (struct reply){ .kind = SKIPPED };
		command.child = started;
		break;
	case PAGE_READER:
		command.target = processes[command.argument[1]].pid;
		if (command.target == 0)
			return (struct reply){ .kind = SKIPPED };
		break;
	default:
		break;
	}
	if (write(processes[who].commands[1], &command, sizeof command) != sizeof command)
		fail("operation %d: process %d takes no command", position, who);
	if (command.operation == EXIT) {
		bury(who);
		return (struct reply){ .kind = OK };
	}
	reply = awaitReply(who, position);
	if (command.operation == FORK && reply.kind == OK)
		adopt(command.child, reply.pid, position);
	return reply;
}

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
		if (pread(process->pagemap, entries, sizeof entries, (off_t)((uintptr_t)area / PAGE * 8)) != sizeof entries)
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
		if (start < (unsigned long)area || end > (unsigned long)area + PAGES * PAGE)
			continue;
		printf("%s{\"start\":%lu,\"pages\":%lu,\"protection\":\"%s\",\"sharing\":\"%s\",\"file\":", first ? "" : ",",
		       (start - (unsigned long)area) / PAGE, (end - start) / PAGE,
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

static void report(int sequence, int position, struct reply reply)
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

/* A file of so many pages; page p of file f is filled with 16 * (f + 1) + p. */
static void makeFile(int which, int pages)
{
	char page[PAGE];
	struct stat status;
	file[which] = checked(memfd_create("file", MFD_CLOEXEC), "memfd_create");
	for (int i = 0; i < pages; i++) {
		memset(page, 16 * (which + 1) + i, sizeof page);
		if (pwrite(file[which], page, sizeof page, (off_t)i * PAGE) != sizeof page)
			fail("a file cannot be filled: %s", strerror(errno));
	}
	checked(fstat(file[which], &status), "fstat");
	inode[which] = status.st_ino;
}

static void begin(const int *pagesOfFile)
{
	alarm(SEQUENCE_S);
	started = 0;
	for (int i = 0; i < FILES; i++)
		makeFile(i, pagesOfFile[i]);
	checked(pipe2(references, O_NONBLOCK | O_CLOEXEC), "pipe2");
	for (int i = 0; i < PROCESSES; i++) {
		checked(pipe2(processes[i].commands, O_CLOEXEC), "pipe2");
		checked(pipe2(processes[i].replies, O_CLOEXEC), "pipe2");
	}
	fflush(stdout);
	pid_t pid = checked(fork(), "fork");
	if (pid == 0) {
		struct sigaction action = { .sa_handler = onFault };
		if (sigaction(SIGSEGV, &action, NULL) != 0 || sigaction(SIGBUS, &action, NULL) != 0)
			_exit(1);
		serve(0);
	}
	adopt(0, pid, -1);
}

static void closeBoth(const int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

static void finish(void)
{
	for (int i = 0; i < PROCESSES; i++) {
		if (processes[i].pid != 0) {
			kill(processes[i].pid, SIGKILL);
			bury(i);
		}
		closeBoth(processes[i].commands);
		closeBoth(processes[i].replies);
	}
	closeBoth(references);
	for (int i = 0; i < FILES; i++)
		close(file[i]);
	alarm(0);
}

static void mustBe(bool valid, const char *line)
{
	if (!valid)
		fail("not understood: %s", line);
}

static bool within(int number, int least, int most)
{
	return least <= number && number <= most;
}

/* Whether nothing in a command reaches beyond the tables here, and no range more than a little beyond the area. */
static bool isSafe(struct command command)
{
	const int *argument = command.argument;
	if (operations[command.operation].byProcess && !within(argument[0], 0, PROCESSES - 1))
		return false;
	switch (command.operation) {
	case MMAP:
		return within(argument[1], 0, LONGEST) && within(argument[2], 0, LONGEST) && within(argument[5], -1, FILES - 1) &&
		       within(argument[6], 0, LONGEST);
	case MUNMAP:
	case MPROTECT:
	case MADVISE:
		return within(argument[1], 0, LONGEST) && within(argument[2], 0, LONGEST);
	case MREMAP:
		return within(argument[1], 0, LONGEST) && within(argument[2], 0, LONGEST) && within(argument[3], 0, LONGEST) &&
		       within(argument[4], -1, LONGEST);
	case READ:
	case VMSPLICE:
		return within(argument[1], 0, PAGES - 1);
	case WRITE:
		return within(argument[1], 0, PAGES - 1) && within(argument[2], 0, 255);
	case PAGE_READER:
		return within(argument[1], 0, PROCESSES - 1) && within(argument[2], 0, PAGES - 1);
	case FTRUNCATE:
		return within(argument[0], 0, FILES - 1) && within(argument[1], 0, FILE_PAGES);
	default:
		return true;
	}
}

static struct command parse(const char *line)
{
	char name[16];
	int used = 0;
	struct command command = { 0 };
	mustBe(sscanf(line, "%15s%n", name, &used) == 1, line);
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		if (strcmp(operations[i].name, name) != 0)
			continue;
		command.operation = operations[i].operation;
		for (int j = 0; j < operations[i].arguments; j++) {
			int more = 0;
			mustBe(sscanf(line + used, "%d%n", &command.argument[j], &more) == 1, line);
			used += more;
		}
		mustBe(isSafe(command), line);
		return command;
	}
	fail("not understood: %s", line);
}

static void stayOnOneProcessor(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)checked(sched_getcpu(), "sched_getcpu"), &set);
	checked(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

/* The frame of the zero page is the one that is read where nothing has been written yet. */
static void findZeroFrame(void)
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

/* The area has to be free, and to be the end of what can be mapped. */
static void checkArea(void)
{
	void *all = mmap(area, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (all != area)
		fail("the last pages of the address space are not free: %s", strerror(errno));
	checked(munmap(all, PAGES * PAGE), "munmap");
	if (mmap(area + PAGES * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
		fail("the address space does not end where it should: there are more than four levels of page tables");
}

int main(int count, char **arguments)
{
	char line[256];
	int sequence = -1, position = -1;
	settled = !(count > 1 && strcmp(arguments[1], "unsettled") == 0);
	signal(SIGPIPE, SIG_IGN);
	checked(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl(PR_SET_THP_DISABLE)");
	if (settled)
		stayOnOneProcessor();
	checkArea();
	findZeroFrame();
	scratch = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scratch == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	while (fgets(line, sizeof line, stdin)) {
		int pagesOfFile[FILES];
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "sequence %d %d", &pagesOfFile[0], &pagesOfFile[1]) == 2) {
			mustBe(position == -1 && within(pagesOfFile[0], 0, FILE_PAGES) && within(pagesOfFile[1], 0, FILE_PAGES), line);
			begin(pagesOfFile);
			sequence++;
			position = 0;
			continue;
		}
		mustBe(position >= 0, line);
		if (strcmp(line, "end") == 0) {
			finish();
			position = -1;
			continue;
		}
		struct command command = parse(line);
		settle();
		report(sequence, position, perform(command, position));
		position++;
	}
	if (position != -1)
		fail("the input ends within a sequence");
	return 0;
}
