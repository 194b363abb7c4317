/* Reads operations: a line each, its name and its arguments as numbers. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include "kernel.h"

/* Whether the first argument is a process, which then does it, and how many arguments there are. */
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

void mustBe(bool valid, const char *line)
{
	if (!valid)
		fail("not understood: %s", line);
}

bool within(int number, int least, int most)
{
	return least <= number && number <= most;
}

/* Whether nothing in a command reaches beyond the tables here, and no range more than a little beyond the area. */
static bool isSafe(struct command command)
{
	const int *argument = command.argument;
	if (command.byProcess && !within(argument[0], 0, PROCESSES - 1))
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

struct command parse(const char *line)
{
	char name[16];
	int used = 0;
	struct command command = { 0 };
	mustBe(sscanf(line, "%15s%n", name, &used) == 1, line);
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		if (strcmp(operations[i].name, name) != 0)
			continue;
		command.operation = operations[i].operation;
		command.byProcess = operations[i].byProcess;
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
