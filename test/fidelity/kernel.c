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
 * it would have been used again, and one that is not on a list yet is not paged out: that depends on what ran before
 * and is nothing that a sequence determines.
 * The argument "unsettled" leaves out both, to see the difference.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernel.h"

struct process processes[PROCESSES];
int file[FILES], references[2];
ino_t inode[FILES];
pid_t coordinator;
static int started;   /* How many processes the sequence has had so far. */
static char *scratch; /* A page of address space that nothing is ever in. */
static bool settled = true;

void fail(const char *format, ...)
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

int checked(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
	return result;
}

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
	struct reply reply;
	if (command.byProcess && processes[who].pid == 0)
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
	if (pid == 0)
		serve(0);
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

static void stayOnOneProcessor(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)checked(sched_getcpu(), "sched_getcpu"), &set);
	checked(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

/* The area has to be free, and to be the end of what can be mapped. */
static void checkArea(void)
{
	void *all = mmap(AREA, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (all != AREA)
		fail("the last pages of the address space are not free: %s", strerror(errno));
	checked(munmap(all, PAGES * PAGE), "munmap");
	if (mmap(AREA + PAGES * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
		fail("the address space does not end where it should: there are more than four levels of page tables");
}

int main(int count, char **arguments)
{
	char line[256];
	int sequence = -1, position = -1;
	settled = !(count > 1 && strcmp(arguments[1], "unsettled") == 0);
	coordinator = getpid();
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
