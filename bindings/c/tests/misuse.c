/* Calls every function wrongly: each says so by its status and an error, and nothing breaks. */
#define _POSIX_C_SOURCE 200809L
#include <genset.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) check(condition, #condition, __LINE__)
#define OK(call) succeeds(call, #call, __LINE__)
#define FAILS(status, call) fails(status, call, #call, __LINE__)

/* Where every call leaves its error. */
static genset_error *error;

static void check(bool holds, const char *what, int line) {
    if (!holds) {
        const char *message = genset_error_message(error);
        fprintf(stderr, "line %d: %s does not hold (%s)\n", line, what, message ? message : "-");
        abort();
    }
}

static void succeeds(genset_status got, const char *what, int line) {
    check(got == GENSET_STATUS_OK && !error, what, line);
}

static void fails(genset_status expected, genset_status got, const char *what, int line) {
    check(got == expected, what, line);
    check(error && genset_error_status(error) == expected, what, line);
    check(strlen(genset_error_message(error)) > 0, what, line);
    printf("%3d: %s\n", line, genset_error_message(error));
    genset_error_free(error);
    error = NULL;
}

/* Text that is not UTF-8: two bytes that never are, and one that begins a character. */
static const char *const NOT_UTF8 = "\xff\xfe\xc3";

/* A handle that a failure must overwrite. */
#define STALE(type) ((type *)&error)

static void of_null(void) {
    genset_dataset_free(NULL);
    genset_loader_free(NULL);
    genset_batch_free(NULL);
    genset_error_free(NULL);
    genset_loader_stop(NULL);
    CHECK(genset_error_status(NULL) == GENSET_STATUS_OK);
    CHECK(!genset_error_message(NULL));
    CHECK(!genset_error_advice(NULL));
    CHECK(!genset_error_sample(NULL, NULL));
    CHECK(!genset_dataset_name(NULL));
    CHECK(!genset_dataset_digest(NULL));
    CHECK(genset_dataset_len(NULL) == 0);
    CHECK(genset_dataset_first(NULL) == 0);
    CHECK(!genset_dataset_has_labels(NULL));
    CHECK(genset_dataset_classes(NULL) == 0);
    CHECK(!genset_dataset_class_name(NULL, 0));
    CHECK(genset_dataset_groups(NULL) == 0);
    CHECK(genset_batch_len(NULL) == 0);
    CHECK(genset_batch_epoch(NULL) == 0);
    CHECK(!genset_batch_index(NULL));
    CHECK(!genset_batch_labels(NULL));
}

static void opened_wrongly(void) {
    genset_dataset *dataset = STALE(genset_dataset);
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_open(NULL, NULL, &dataset, &error));
    CHECK(!dataset);
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_open("builtin:digits", NULL, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_open(NOT_UTF8, NULL, &dataset, &error));
    FAILS(GENSET_STATUS_IO, genset_dataset_open("no/such.toml", NULL, &dataset, &error));
    FAILS(GENSET_STATUS_RECIPE, genset_dataset_open("builtin:no-such", NULL, &dataset, &error));
    CHECK(genset_dataset_open(NULL, NULL, NULL, NULL) == GENSET_STATUS_ARGUMENT);
    CHECK(genset_dataset_open("no/such.toml", NULL, &dataset, NULL) == GENSET_STATUS_IO);

    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_of_recipe(NULL, ".", NULL, &dataset, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_of_recipe("", NULL, NULL, &dataset, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_of_recipe("", ".", NULL, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_of_recipe(NOT_UTF8, ".", NULL, &dataset, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_of_recipe("", NOT_UTF8, NULL, &dataset, &error));
    FAILS(GENSET_STATUS_RECIPE, genset_dataset_of_recipe("no = [", ".", NULL, &dataset, &error));
    FAILS(GENSET_STATUS_RECIPE, genset_dataset_of_recipe("", ".", NULL, &dataset, &error));
    CHECK(!dataset);
}

/* What opening with one option says. */
static genset_status with(genset_options options) {
    genset_dataset *dataset = STALE(genset_dataset);
    genset_status status = genset_dataset_open("builtin:digits", &options, &dataset, &error);
    CHECK((status == GENSET_STATUS_OK) == (dataset != NULL));
    genset_dataset_free(dataset);
    return status;
}

static void options_that_make_no_sense(void) {
    const char *none[] = {NULL}, *bad[] = {NOT_UTF8}, *unknown[] = {"sede=7"}, *text[] = {"seed"};
    const char *provider[] = {"abacus"}, *device[] = {"cuda.device_id=x"};
#define LIST(name, of, len) {.name = of, .name##_len = len}
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(settings, NULL, 2)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(settings, none, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(settings, bad, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(settings, none, SIZE_MAX)));
    FAILS(GENSET_STATUS_RECIPE, with((genset_options)LIST(settings, unknown, 1)));
    FAILS(GENSET_STATUS_RECIPE, with((genset_options)LIST(settings, text, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(providers, NULL, 1)));
    FAILS(GENSET_STATUS_PROVIDER, with((genset_options)LIST(providers, provider, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(providers, bad, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(provider_options, NULL, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(provider_options, device, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options)LIST(provider_options, text, 1)));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options){.rewrites = NOT_UTF8}));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options){.rewrites = "no-such"}));
    FAILS(GENSET_STATUS_ARGUMENT, with((genset_options){.ort = NOT_UTF8}));
    FAILS(GENSET_STATUS_RUNTIME, with((genset_options){.ort = "/no/such/library.so"}));
}

static void asked_wrongly(const genset_dataset *dataset) {
    genset_group group;
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_group(NULL, 0, &group, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_group(dataset, 0, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_group(dataset, SIZE_MAX, &group, &error));
    CHECK(!genset_dataset_class_name(dataset, -1));
    CHECK(!genset_dataset_class_name(dataset, INT64_MIN));
    CHECK(!genset_dataset_class_name(dataset, INT64_MAX));

    genset_batch *batch = STALE(genset_batch);
    uint64_t index = 0, outside = genset_dataset_len(dataset);
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_get(NULL, 0, 0, &batch, &error));
    CHECK(!batch);
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_get(dataset, 0, 0, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_get(dataset, outside, 0, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_get(dataset, UINT64_MAX, 0, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_gather(NULL, &index, 1, 0, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_gather(dataset, NULL, 1, 0, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_gather(dataset, &index, 0, 0, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_gather(dataset, &index, SIZE_MAX, 0, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_dataset_gather(dataset, &index, 1, 0, NULL, &error));
    CHECK(!batch);

    genset_images images;
    genset_latents latents;
    OK(genset_dataset_get(dataset, 0, UINT64_MAX, &batch, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_batch_images(NULL, 0, &images, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_batch_images(batch, 0, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_batch_images(batch, 1, &images, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_batch_images(batch, SIZE_MAX, &images, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_batch_latents(NULL, &latents, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_batch_latents(batch, NULL, &error));
    genset_batch_free(batch);
}

/* What starting a loader with these settings says. */
static genset_status started(const genset_dataset *dataset, const genset_loader_settings *settings,
                             const genset_state *resume) {
    genset_loader *loader = STALE(genset_loader);
    genset_status status = genset_loader_new(dataset, settings, resume, &loader, &error);
    CHECK((status == GENSET_STATUS_OK) == (loader != NULL));
    genset_loader_free(loader);
    return status;
}

static void settings_that_make_no_sense(const genset_dataset *dataset) {
    const genset_loader_settings usual = genset_loader_settings_default();
    genset_loader_settings s;
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_new(dataset, NULL, NULL, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, started(NULL, NULL, NULL));
#define REFUSED(status, ...) (s = usual, __VA_ARGS__, FAILS(status, started(dataset, &s, NULL)))
    REFUSED(GENSET_STATUS_ARGUMENT, s.batch = 0);
    REFUSED(GENSET_STATUS_ARGUMENT, s.batch = SIZE_MAX);
    REFUSED(GENSET_STATUS_ARGUMENT, s.workers = SIZE_MAX);
    REFUSED(GENSET_STATUS_LIMIT, s.memory = 0);
    REFUSED(GENSET_STATUS_LIMIT, s.batch = (size_t)1 << 39);
    REFUSED(GENSET_STATUS_ARGUMENT, s.has_rank = true, s.rank = 3, s.world_size = 3);
    REFUSED(GENSET_STATUS_ARGUMENT, s.has_rank = true, s.rank = 0, s.world_size = 0);
    REFUSED(GENSET_STATUS_ARGUMENT, s.has_rank = true, s.rank = UINT64_MAX, s.world_size = 1);
    REFUSED(GENSET_STATUS_ARGUMENT, s.has_rank = true, s.rank = 0, s.world_size = UINT64_MAX);
    REFUSED(GENSET_STATUS_ARGUMENT, s.has_range = true, s.start = 2, s.end = 1);
    REFUSED(GENSET_STATUS_ARGUMENT, s.has_range = true, s.start = 0, s.end = UINT64_MAX);
    REFUSED(GENSET_STATUS_ARGUMENT, s.shuffle = true);
    REFUSED(GENSET_STATUS_ARGUMENT, s.zero_copy = true);
    s = usual;
    s.view_threads = SIZE_MAX;
    CHECK(started(dataset, &s, NULL) != GENSET_STATUS_OK);
    genset_error_free(error);
    error = NULL;

    genset_state state = {.epoch = 0, .next = 0};
    FAILS(GENSET_STATUS_STATE, started(dataset, NULL, &state));
    memset(state.digest, 'f', sizeof state.digest);
    FAILS(GENSET_STATUS_STATE, started(dataset, NULL, &state));
    state.digest[64] = 0;
    FAILS(GENSET_STATUS_STATE, started(dataset, NULL, &state));
    strcpy(state.digest, NOT_UTF8);
    FAILS(GENSET_STATUS_STATE, started(dataset, NULL, &state));
    strcpy(state.digest, genset_dataset_digest(dataset));
    state.next = UINT64_MAX;
    FAILS(GENSET_STATUS_STATE, started(dataset, NULL, &state));
    state.next = 0;
    state.epoch = UINT64_MAX;
    OK(started(dataset, NULL, &state));
}

static void streamed_wrongly(const genset_dataset *dataset) {
    genset_loader *loader;
    genset_batch *batch = STALE(genset_batch);
    genset_state state;
    uint64_t skipped;
    genset_loader_settings settings = genset_loader_settings_default();
    settings.epochs = 0;
    OK(genset_loader_new(dataset, &settings, NULL, &loader, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_next(NULL, &batch, &error));
    CHECK(!batch);
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_next(loader, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_state(NULL, &state, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_state(loader, NULL, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_skipped(NULL, &skipped, &error));
    FAILS(GENSET_STATUS_ARGUMENT, genset_loader_skipped(loader, NULL, &error));
    for (int i = 0; i < 3; i++) {
        CHECK(genset_loader_next(loader, &batch, &error) == GENSET_STATUS_END);
        CHECK(!batch && !error);
    }
    genset_loader_free(loader);
}

/* What belongs to a batch is there when all else is gone. */
static void freed_out_of_order(void) {
    const char *settings[] = {"samples=300"};
    genset_options options = genset_options_default();
    options.settings = settings;
    options.settings_len = 1;
    genset_dataset *dataset;
    genset_loader *loader;
    genset_batch *batch;
    genset_images images;
    genset_latents latents;
    genset_loader_settings with = genset_loader_settings_default();
    with.latents = true;
    OK(genset_dataset_open("builtin:digits", &options, &dataset, &error));
    OK(genset_loader_new(dataset, &with, NULL, &loader, &error));
    genset_dataset_free(dataset);
    OK(genset_loader_next(loader, &batch, &error));
    genset_loader_free(loader);
    OK(genset_batch_images(batch, 0, &images, &error));
    OK(genset_batch_latents(batch, &latents, &error));
    uint64_t sum = 0;
    for (size_t i = 0; i < images.bytes; i++) sum += ((const unsigned char *)images.data)[i];
    size_t numbers = latents.shape[0] * latents.shape[1] * latents.shape[2];
    double total = 0;
    for (size_t i = 0; i < numbers; i++) total += latents.data[i];
    CHECK(sum > 0 && numbers > 0 && total == total);
    CHECK(genset_batch_index(batch)[255] == 255);
    genset_batch_free(batch);
}

/* A generator that makes no images: the sample is named, again and again, and no end is told. */
static void not_an_image(const char *models) {
    const char *recipe =
        "samples = 100\n"
        "[generator]\n"
        "model = 'nan-always.onnx'\n"
        "inputs.z.role = 'latent'\n"
        "output = { layout = 'NCHW', range = [-1, 1] }\n";
    genset_dataset *dataset;
    genset_loader *loader;
    genset_batch *batch;
    OK(genset_dataset_of_recipe(recipe, models, NULL, &dataset, &error));
    OK(genset_loader_new(dataset, NULL, NULL, &loader, &error));
    genset_dataset_free(dataset);
    for (int i = 0; i < 2; i++) {
        uint64_t sample = UINT64_MAX;
        genset_status status = genset_loader_next(loader, &batch, &error);
        CHECK(genset_error_sample(error, &sample) && sample == 0);
        CHECK(genset_error_sample(error, NULL) && genset_error_advice(error));
        FAILS(GENSET_STATUS_SAMPLE, status);
    }
    genset_loader_free(loader);
}

static genset_loader *shared;
static atomic_uint_fast64_t delivered;

/* Takes batches until there is no other; gives the status that says so. */
static void *taking(void *last) {
    genset_batch *batch;
    genset_status status;
    while ((status = genset_loader_next(shared, &batch, NULL)) == GENSET_STATUS_OK) {
        atomic_fetch_add(&delivered, genset_batch_len(batch));
        genset_batch_free(batch);
    }
    *(genset_status *)last = status;
    return NULL;
}

static void two_threads_share_a_loader(const genset_dataset *dataset) {
    genset_loader_settings settings = genset_loader_settings_default();
    settings.batch = 16;
    OK(genset_loader_new(dataset, &settings, NULL, &shared, &error));
    pthread_t threads[2];
    genset_status last[2];
    for (int i = 0; i < 2; i++) CHECK(!pthread_create(&threads[i], NULL, taking, &last[i]));
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(last[0] == GENSET_STATUS_END && last[1] == GENSET_STATUS_END);
    CHECK(atomic_load(&delivered) == genset_dataset_len(dataset));
    genset_loader_free(shared);
}

static void on_signal(int signal) {
    (void)signal;
    genset_loader_stop(shared);
}

static void stopped(const genset_dataset *dataset, bool by_signal) {
    genset_loader_settings settings = genset_loader_settings_default();
    settings.epochs = GENSET_ENDLESS;
    OK(genset_loader_new(dataset, &settings, NULL, &shared, &error));
    pthread_t thread;
    genset_status last;
    atomic_store(&delivered, 0);
    CHECK(!pthread_create(&thread, NULL, taking, &last));
    while (!atomic_load(&delivered)) sched_yield();
    if (by_signal) {
        signal(SIGINT, on_signal);
        CHECK(!pthread_kill(thread, SIGINT));
    } else {
        genset_loader_stop(shared);
    }
    pthread_join(thread, NULL);
    CHECK(last == GENSET_STATUS_INTERRUPTED);
    /* It stays so, and where it was can be asked all the same. */
    genset_batch *batch;
    genset_state state;
    FAILS(GENSET_STATUS_INTERRUPTED, genset_loader_next(shared, &batch, &error));
    OK(genset_loader_state(shared, &state, &error));
    OK(started(dataset, &settings, &state));
    genset_loader_free(shared);
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    of_null();
    opened_wrongly();
    options_that_make_no_sense();
    const char *settings[] = {"samples=2000"};
    genset_options options = genset_options_default();
    options.settings = settings;
    options.settings_len = 1;
    genset_dataset *dataset;
    OK(genset_dataset_open("builtin:digits", &options, &dataset, &error));
    asked_wrongly(dataset);
    settings_that_make_no_sense(dataset);
    streamed_wrongly(dataset);
    freed_out_of_order();
    not_an_image(arguments[1]);
    two_threads_share_a_loader(dataset);
    stopped(dataset, false);
    stopped(dataset, true);
    genset_dataset_free(dataset);
    return EXIT_SUCCESS;
}
