/* What a process of the sequence does, in the address space that is looked at. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <unistd.h>
#include "kernel.h"

static sigjmp_buf faulted;

static void onFault(int number)
{
	siglongjmp(faulted, number);
}

struct reply outcome(long result)
{
	return result < 0 ? (struct reply){ .kind = ERROR, .number = errno } : (struct reply){ .kind = OK };
}

/* Reads or writes one byte at the start of a page; `value` < 0 reads. */
static struct reply touch(int page, int value)
{
	volatile unsigned char *const byte = (unsigned char *)AREA + page * PAGE;
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
	struct iovec to = { &byte, 1 }, from = { AREA + page * PAGE, 1 };
	ssize_t result = process_vm_readv(target, &to, 1, &from, 1, 0);
	return result < 0 ? outcome(result) : (struct reply){ .kind = VALUE, .number = byte };
}

/* Puts a reference to a page into the pipe: one byte of it, so that reading one byte gives the reference back. */
static struct reply reference(int page)
{
	struct iovec from = { AREA + page * PAGE, 1 };
	return outcome(vmsplice(references[1], &from, 1, SPLICE_F_NONBLOCK));
}

static struct reply map(const int *argument)
{
	int sharing = argument[4] ? MAP_SHARED : MAP_PRIVATE, backing = argument[5];
	void *result = mmap(AREA + argument[1] * PAGE, (size_t)argument[2] * PAGE, argument[3],
			    sharing | MAP_FIXED | (backing < 0 ? MAP_ANONYMOUS : 0), backing < 0 ? -1 : file[backing],
			    (off_t)argument[6] * PAGE);
	return outcome(result == MAP_FAILED ? -1 : 0);
}

static struct reply remap(const int *argument)
{
	char *old = AREA + argument[1] * PAGE;
	size_t oldLength = (size_t)argument[2] * PAGE, newLength = (size_t)argument[3] * PAGE;
	void *result = argument[4] < 0 ? mremap(old, oldLength, newLength, 0)
				       : mremap(old, oldLength, newLength, MREMAP_MAYMOVE | MREMAP_FIXED,
						AREA + argument[4] * PAGE);
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
	/* It may have gone before the signal was asked for. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != coordinator)
		_exit(1);
}

void serve(int self)
{
	struct sigaction action = { .sa_handler = onFault };
	if (sigaction(SIGSEGV, &action, NULL) != 0 || sigaction(SIGBUS, &action, NULL) != 0)
		_exit(1);
	dieWithCoordinator();
	answer(processes[self].replies[1], (struct reply){ .kind = OK });
	for (;;) {
		struct command command;
		struct reply reply;
		receive(processes[self].commands[0], &command, sizeof command);
		const int *argument = command.argument;
		char *start = AREA + argument[1] * PAGE;
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
