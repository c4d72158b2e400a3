@rem npm scripts begin with "exec", so that on POSIX a signal to npm reaches the program itself and not a shell in between.
@rem cmd.exe has no such word; it finds this file instead, which runs the rest of the line.
@%*
