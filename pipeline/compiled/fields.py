"""Fields of a :class:`~.memory.Book`. A trie takes three: slots, mask, values."""

from __future__ import annotations

# Characters: entry = canonical code (signed 32 bits) | marks << 32; see folding.py.
(
    FOLD,
    EXPANSION_STARTS,
    EXPANSION,
    MARKS,
    LOWER_FROM,
    LOWER_TO,
    LOWER_COUNT,
    CHARACTERS,  # a row for each code point below memory.DIRECT, columns below
) = range(8)
# The states behind the character alone in the dictionary and in the tries of features and terms, and its class in regular
# expressions; whether jieba looks it up.
DICTIONARY_STATE, GRAM_STATE, WORD_STATE, LEXICON_STATE, KIND, BLOCK = range(6)

# Disguises. Terms are numbered: key terms first, then other meanings of listed spellings.
(
    TERM_CHARS,
    TERM_STARTS,
    TERM_FLAGS,
    SOUND_TERMS,
    SOUND_TERM_STARTS,
    SOUND_PAIRS,  # [first sound, second sound] 1 where a row of sounds may begin so
    SOUND_COUNT,
    SPLIT_MEANING,
    SPELLING_TERM,
    SPELLING_FLAGS,
    GROWTH,  # most characters that one character may become
    LENDING,
    LENDING_COUNT,
) = range(10, 23)

# Regular expressions; see regex.py.
(
    CODE,
    SETS,
    SET_WIDTH,
    CLASSES,
    ENTRIES,
    PROGRAMS,
    FIRST,
    FIRST_WORDS,
    REQUIRED,
    ROWS,
    ROW_STARTS,
    STACK_ROWS,
    GROUPS,
    REQUIRING,
    KIND_COUNT,
) = range(30, 45)

# Words.
COST_NUMBERS, COSTS, UNKNOWN_COST, DICTIONARY_PAIRS = range(50, 54)

# Lexicon and concepts; see lexemes.py.
(
    CLASS_COUNT,
    CONCEPT_COUNT,
    TERM_CLASSES,
    TERM_CLASS_STARTS,
    PATTERN_CLASS,
    WAY_STARTS,
    WAYS,
    GAPS,
    STEPS,
    MOST_AT_ONE_PLACE,
    LEXICON_PAIRS,  # bits, see trie.pair_bit
) = range(60, 71)

# Features: rows of the weights for keys made of classes and concepts; see features.py.
(
    PRESENT,
    BESIDE,
    TOGETHER,
    CONCEPT_ROW,
    CONCEPT_PAIR,
    FRAMES,  # (class, row) of each frame class
    FRAME_COUNT,
    LONGEST_GRAM,
    NEAR,
    WHOLE,
    TARGET,
    STRIDE,
    GRAM_PAIRS,  # bits, see trie.pair_bit
    WORD_FEATURES,  # row of each word, -1 for none
    WORD_PAIRS,  # slots as of a trie: number of the first word + 1, of the second + 1, row; their mask follows
) = range(80, 95)

# Heads, signals; see scores.py.
(
    WEIGHTS,
    WEIGHT_ROWS,
    HEADS,
    BIAS,
    CALIBRATION,
    MEAN,
    SEVERITY_HEADS_AT,
    CODES,
    CODE_HEADS,
    CODE_THRESHOLDS,
    STANCES,
    STANCE_HEADS,
    SIGNALS,
    SIGNAL_ANY,
    SIGNAL_NONE,
    SIGNAL_SEVERITY,
    SIGNAL_LENGTH,
    SIGNAL_OBFUSCATION,
    CONTACT,
    OUT_OF_SCOPE,
    MOSTLY_TRADITIONAL,
    SCREEN,  # two bits a pair of characters, see folding.screened
    WEIGHT_WIDTH,  # heads, rounded up
) = range(100, 123)

(
    TERMS,
    SOUNDS,
    SYLLABLES,
    LETTERS,
    SPLITS,
    SPELLINGS,
    ORDINARY,
    DICTIONARY,
    LEXICON,
    GRAMS,
    WORDS,
    GATE,
    LOCAL_WORDS,
    SURE_SPLITS,
) = range(130, 130 + 3 * 14, 3)

FIELDS = 180

# Scratch of one call, a book of its own. Of ``ROOM`` int32 unless said otherwise; rows are interleaved.
(
    ROOM,
    TEXT,
    TEXT_MARKS,
    TEXT_STARTS,
    TEXT_ENDS,
    NEW_TEXT,
    NEW_MARKS,
    NEW_STARTS,
    NEW_ENDS,
    REPLACED,  # kind + 1 of the disguise that a character begins
    HEARD,
    KINDS,
    WORD_ENDS,
    BEST,  # double
    FOLLOWING,
    UNITS,  # 5 a row
    CANDIDATES,  # 7 a row, 2 rows a character; so the next two
    ACCEPTED,
    OPEN,
    PLAIN,  # 3 a row
    GLOSS_SPANS,  # 2 a row; so the next three
    URL_SPANS,
    CONTEXT_SPANS,
    BREAK_SPANS,
    ANCHORS,  # 2 a row, 3 rows a character
    BREAKS,
    WORD_ROWS,  # 5 a row
    GRAM_ROWS,  # (row, end) of the n-grams the model knows, LONGEST_GRAM pairs a character
    GRAM_STARTS,  # where those of a character begin
    STACK,
    FACTS,
    SYLLABLE_SCRATCH,
    LAST_END,
    GROUP,
    SEEN,
    INSIDE,
    ORDER,
    FIRST_FOUND,
    STAMPS,
    ROW_LIST,
    COVERED,
    TOTALS,
    ALIVE,
    CLASS_SEEN,
    CLASS_ORDER,
    CHOSEN,  # places of a text worth a closer look
    SCRATCH_FIELDS,
) = range(47)
