/* What the parts of the helper know of each other: kernel.c coordinates and says what all this is. */
#ifndef FIDELITY_KERNEL_H
#define FIDELITY_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PAGE = 4096, PAGES = 8, PROCESSES = 3, FILES = 2, FILE_PAGES = 4, LONGEST = 16, REPLY_MS = 5000, SEQUENCE_S = 30 };

/* Where the area starts: TASK_SIZE with four levels of page tables, less eight pages. */
#define AREA ((char *)(0x7ffffffff000UL - PAGES * PAGE))

enum operation { MMAP, MUNMAP, MPROTECT, MREMAP, MADVISE, FORK, EXIT, READ, WRITE, PAGE_READER, VMSPLICE, READ_PIPE, FTRUNCATE };

struct command {
	enum operation operation;
	bool byProcess; /* The first argument is a process, which does it; else the coordinator does. */
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

extern struct process processes[PROCESSES];
extern int file[FILES];
extern ino_t inode[FILES];
extern int references[2]; /* The pipe of page references. */
extern pid_t coordinator;

/* Ends the helper with a message, and all processes with it. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* A result that is no error; else ends the helper. */
int checked(int result, const char *what);

/* process.c: the reply that a system call's result comes to. */
struct reply outcome(long result);

/* process.c: the life of a process of the sequence, from its start or from the fork that made it. */
__attribute__((noreturn)) void serve(int self);

/* input.c: an operation as its line says it. Ends the helper if the line is not understood. */
struct command parse(const char *line);
void mustBe(bool valid, const char *line);
bool within(int number, int least, int most);

/* report.c: has to be called once, before anything is reported. */
void findZeroFrame(void);

/* report.c: prints the result of an operation and what is seen after it. */
void report(int sequence, int position, struct reply reply);

#endif
