/* Streams digits that no one wrote, twice over: what a program does with genset from beginning to end.
 *
 *     cargo build --release -p genset-c
 *     cc -std=c11 bindings/c/example/digits.c -I bindings/c/include -L target/release -lgenset -o digits
 *     LD_LIBRARY_PATH=target/release ./digits
 */
#include <genset.h>

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 1000, PASSES = 2, SHOWN = 8 };

/* What was delivered. */
struct delivered {
    unsigned char times[PASSES][SAMPLES];
    int64_t labels[PASSES][SAMPLES];
    uint64_t checksum[PASSES];
};

/* The loader that Ctrl-C ends; NULL while there is none. */
static _Atomic(genset_loader *) running;

static void on_interrupt(int signal) {
    (void)signal;
    genset_loader_stop(atomic_load(&running));
}

/* Tells what failed, and what to do about it. */
static int failed(const char *doing, genset_error *error) {
    const char *advice = genset_error_advice(error);
    fprintf(stderr, "%s: %s\n", doing, genset_error_message(error));
    if (advice) fprintf(stderr, "  help: %s\n", advice);
    genset_error_free(error);
    return EXIT_FAILURE;
}

/* FNV-1a, 64 bits. */
static uint64_t checksum(uint64_t hash, const void *data, size_t len) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* What a training step would be. */
static genset_status use(const genset_batch *batch, struct delivered *delivered,
                         genset_error **error) {
    size_t pass = (size_t)genset_batch_epoch(batch);
    const uint64_t *index = genset_batch_index(batch);
    const int64_t *labels = genset_batch_labels(batch);
    for (size_t i = 0; i < genset_batch_len(batch); i++) {
        delivered->times[pass][index[i]]++;
        delivered->labels[pass][index[i]] = labels[i];
    }
    genset_images images;
    genset_status status = genset_batch_images(batch, 0, &images, error);
    if (status != GENSET_STATUS_OK) return status;
    delivered->checksum[pass] = checksum(delivered->checksum[pass], images.data, images.bytes);
    return status;
}

/* Uses so many batches, or all that there are: the status says which. */
static genset_status stream(genset_loader *loader, size_t batches, struct delivered *delivered,
                            genset_error **error) {
    for (size_t i = 0; i < batches; i++) {
        genset_batch *batch;
        genset_status status = genset_loader_next(loader, &batch, error);
        if (status == GENSET_STATUS_OK) {
            status = use(batch, delivered, error);
            genset_batch_free(batch); /* The loader writes the next images there. */
        }
        if (status != GENSET_STATUS_OK) return status;
    }
    return GENSET_STATUS_OK;
}

/* Streams a part, from `resume` on if there is one, and tells where that ended. */
static genset_status part(const genset_dataset *dataset, const genset_loader_settings *settings,
                          const genset_state *resume, size_t batches, genset_state *end,
                          struct delivered *delivered, genset_error **error) {
    genset_loader *loader;
    genset_status status = genset_loader_new(dataset, settings, resume, &loader, error);
    if (status != GENSET_STATUS_OK) return status;
    atomic_store(&running, loader);
    status = stream(loader, batches, delivered, error);
    if (status == GENSET_STATUS_OK) status = genset_loader_state(loader, end, error);
    atomic_store(&running, NULL);
    genset_loader_free(loader);
    return status;
}

/* A run that is broken off, and one that goes on with other settings. */
static genset_status both_parts(const genset_dataset *dataset, struct delivered *delivered,
                                genset_error **error) {
    genset_state state;
    genset_loader_settings settings = genset_loader_settings_default();
    settings.epochs = PASSES;
    settings.batch = 64;
    genset_status status = part(dataset, &settings, NULL, 7, &state, delivered, error);
    if (status != GENSET_STATUS_OK) return status;
    printf("broken off at sample %" PRIu64 " of pass %" PRIu64 "\n", state.next, state.epoch);
    settings.batch = 100;
    settings.workers = 2;
    status = part(dataset, &settings, &state, SIZE_MAX, &state, delivered, error);
    return status == GENSET_STATUS_END ? GENSET_STATUS_OK : status;
}

static int show(const struct delivered *delivered) {
    for (size_t pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            if (delivered->times[pass][i] != 1) {
                fprintf(stderr, "sample %zu came %d times\n", i, delivered->times[pass][i]);
                return EXIT_FAILURE;
            }
        }
        printf("pass %zu: checksum %016" PRIx64 ", labels", pass, delivered->checksum[pass]);
        for (size_t i = 0; i < SHOWN; i++) printf(" %" PRId64, delivered->labels[pass][i]);
        printf("\n");
    }
    return EXIT_SUCCESS;
}

int main(void) {
    genset_dataset *dataset;
    genset_error *error;
    const char *settings[] = {"samples=1000", "sede=7"};
    genset_options options = genset_options_default();
    options.settings = settings;
    options.settings_len = 2;

    /* A mistake: it is named, and so is the way out. */
    if (genset_dataset_open("builtin:digits", &options, &dataset, &error) != GENSET_STATUS_RECIPE) {
        fprintf(stderr, "an unknown key was taken\n");
        return EXIT_FAILURE;
    }
    printf("refused: %s; %s\n", genset_error_message(error), genset_error_advice(error));
    genset_error_free(error);

    options.settings_len = 1;
    if (genset_dataset_open("builtin:digits", &options, &dataset, &error) != GENSET_STATUS_OK) {
        return failed("cannot open the dataset", error);
    }
    printf("%s: %" PRIu64 " samples, %zu classes, digest %s\n", genset_dataset_name(dataset),
           genset_dataset_len(dataset), genset_dataset_classes(dataset),
           genset_dataset_digest(dataset));

    signal(SIGINT, on_interrupt);
    static struct delivered delivered;
    /* FNV's offset basis. */
    for (size_t pass = 0; pass < PASSES; pass++) {
        delivered.checksum[pass] = UINT64_C(0xcbf29ce484222325);
    }
    genset_status status = both_parts(dataset, &delivered, &error);
    genset_dataset_free(dataset);
    if (status != GENSET_STATUS_OK) return failed("cannot stream", error);
    return show(&delivered);
}
