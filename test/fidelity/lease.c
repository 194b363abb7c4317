/*
 * Performs operations on leases, a line each, and says of each what came of it:
 *   new               a fresh file; nothing is open
 *   open SLOT MODE    open(2) with O_NONBLOCK; mode 0 reads, 1 writes, 2 does both
 *   block SLOT MODE   the same without O_NONBLOCK: it waits until the lease is given up, or overdue
 *   truncate          truncate(2), which waits as well
 *   close SLOT
 *   set SLOT TYPE     fcntl(F_SETLEASE); 0 F_RDLCK, 1 F_WRLCK, 2 F_UNLCK
 *   get SLOT          fcntl(F_GETLEASE)
 *   ask WHO KIND      fcntl(F_SETLEASE, F_RDLCK) in a process of its own: 0 the owner, 1 root, 2 somebody else; of a
 *                     file that belongs to a user (0) or a device's, which is root's (1)
 * A line of output is the result, or the error number, negated. SIGIO, by which holders are told, is ignored.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 3

static int files[SLOTS] = {-1, -1, -1};
static char path[4096];

static int renew(void)
{
	for (int i = 0; i < SLOTS; i++) {
		if (files[i] >= 0)
			close(files[i]);
		files[i] = -1;
	}
	unlink(path);
	int file = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (file < 0)
		return -errno;
	close(file);
	return 0;
}

/* The file is opened before the process becomes who it is to be. */
static int ask(int who, int kind)
{
	static const uid_t owner = 1, stranger = 2;
	int file, status;
	pid_t child;

	if (kind == 0 && chown(path, owner, owner))
		return -errno;
	file = open(kind == 0 ? path : "/dev/null", O_RDONLY);
	if (file < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		uid_t uid = who == 2 ? stranger : who == 0 && kind == 0 ? owner : 0;
		if (setresuid(uid, uid, uid))
			_exit(255);
		_exit(fcntl(file, F_SETLEASE, F_RDLCK) ? errno : 0);
	}
	close(file);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) == 255)
		exit(2);
	return -WEXITSTATUS(status);
}

static int perform(const char *what, int slot, int argument)
{
	static const int types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	int result = 0;

	if (!strcmp(what, "new"))
		return renew();
	if (slot < 0 || slot >= SLOTS || argument < 0 || argument > 2)
		exit(2);
	if (!strcmp(what, "ask"))
		return ask(slot, argument);
	if (!strcmp(what, "truncate"))
		return truncate(path, 0) ? -errno : 0;
	if (!strcmp(what, "open") || !strcmp(what, "block")) {
		int mode = argument == 0 ? O_RDONLY : argument == 1 ? O_WRONLY : O_RDWR;
		result = open(path, mode | (*what == 'o' ? O_NONBLOCK : 0));
		if (result < 0)
			return -errno;
		files[slot] = result;
		return 0;
	}
	if (!strcmp(what, "close")) {
		result = close(files[slot]);
		files[slot] = -1;
	} else if (!strcmp(what, "set")) {
		result = fcntl(files[slot], F_SETLEASE, types[argument]);
	} else if (!strcmp(what, "get")) {
		result = fcntl(files[slot], F_GETLEASE);
		for (int i = 0; i < 3; i++)
			if (result == types[i])
				return i;
	} else {
		exit(2);
	}
	return result < 0 ? -errno : 0;
}

int main(int count, char **arguments)
{
	char what[16];
	int slot, argument;

	if (count != 2 || snprintf(path, sizeof path, "%s/file", arguments[1]) >= (int)sizeof path)
		return 2;
	signal(SIGIO, SIG_IGN);
	while (scanf("%15s %d %d", what, &slot, &argument) == 3)
		printf("%d\n", perform(what, slot, argument));
	unlink(path);
	return 0;
}
