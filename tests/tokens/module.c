/* A PKCS#11 module that passes every call to another one, but for the fault that FAULT names. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long CK_ULONG;
typedef struct {
    unsigned char version[2];
    void *call[68];
} List;

/* The numbers of calls in CK_FUNCTION_LIST (PKCS#11 2.40, pkcs11f.h). */
enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, LOGIN = 18, SIGN = 43 };
enum { PIN_LOCKED = 0xa4, DEVICE_REMOVED = 0x32, FLAG_PIN_LOCKED = 0x40000, FLAG_FINAL_TRY = 0x20000, FLAGS_AT = 96 };

static List real, ours;

static int is(const char *fault) {
    const char *wanted = getenv("FAULT");
    return wanted && !strcmp(wanted, fault);
}

/* Appends a line to the file of calls. */
static void count(const char *call) {
    FILE *calls = fopen(getenv("CALLS"), "a");
    if (calls) {
        fprintf(calls, "%s\n", call);
        fclose(calls);
    }
}

static CK_ULONG get_token_info(CK_ULONG slot, unsigned char *info) {
    CK_ULONG (*call)(CK_ULONG, unsigned char *) = real.call[GET_TOKEN_INFO];
    CK_ULONG result = call(slot, info), flags;
    memcpy(&flags, info + FLAGS_AT, sizeof flags);
    if (is("locked"))
        flags |= FLAG_PIN_LOCKED;
    if (is("final-try"))
        flags |= FLAG_FINAL_TRY;
    memcpy(info + FLAGS_AT, &flags, sizeof flags);
    return result;
}

static CK_ULONG login(CK_ULONG session, CK_ULONG user, unsigned char *pin, CK_ULONG length) {
    CK_ULONG (*call)(CK_ULONG, CK_ULONG, unsigned char *, CK_ULONG) = real.call[LOGIN];
    count("login");
    return is("locks") ? PIN_LOCKED : call(session, user, pin, length);
}

static CK_ULONG sign(CK_ULONG session, unsigned char *data, CK_ULONG size, unsigned char *to, CK_ULONG *length) {
    static int signatures;
    CK_ULONG (*call)(CK_ULONG, unsigned char *, CK_ULONG, unsigned char *, CK_ULONG *) = real.call[SIGN];
    if (is("removed") && to && ++signatures > 3)
        return DEVICE_REMOVED;
    return call(session, data, size, to, length);
}

static CK_ULONG get_function_list(List **list) {
    *list = &ours;
    return 0;
}

CK_ULONG C_GetFunctionList(List **list) {
    void *module = dlopen(getenv("MODULE"), RTLD_NOW | RTLD_LOCAL);
    CK_ULONG (*get)(List **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
    List *theirs;
    if (!get || get(&theirs))
        return 5;
    real = ours = *theirs;
    ours.call[GET_FUNCTION_LIST] = get_function_list;
    ours.call[GET_TOKEN_INFO] = get_token_info;
    ours.call[LOGIN] = login;
    ours.call[SIGN] = sign;
    return get_function_list(list);
}
