// See trouble.c; a header, because a package's target of C has one.
#ifndef TOLLGATE_CTROUBLE_H
#define TOLLGATE_CTROUBLE_H

const char *trouble_name(void);

#endif
