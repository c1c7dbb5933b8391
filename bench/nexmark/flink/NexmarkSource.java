// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir.nexmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;

/** The connector "nexmark": the events of the Go generator, as rows of kind, person, auction and bid. */
public final class NexmarkSource implements DynamicTableSourceFactory {
  private static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().noDefaultValue();
  private static final ConfigOption<Long> RATE = ConfigOptions.key("events-per-second").longType().noDefaultValue();
  private static final ConfigOption<Long> BASE = ConfigOptions.key("base").longType().noDefaultValue();
  private static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().noDefaultValue();
  private static final ConfigOption<Long> OUT_OF_ORDER = ConfigOptions.key("out-of-order").longType().noDefaultValue();
  private static final ConfigOption<String> VOCABULARY = ConfigOptions.key("vocabulary").stringType().noDefaultValue();

  @Override
  public String factoryIdentifier() {
    return "nexmark";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(EVENTS, RATE, BASE, SEED, OUT_OF_ORDER, VOCABULARY);
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  @Override
  public DynamicTableSource createDynamicTableSource(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    ReadableConfig o = helper.getOptions();
    Generator g = new Generator(
        o.get(EVENTS), o.get(RATE), o.get(BASE), o.get(SEED), o.get(OUT_OF_ORDER), o.get(VOCABULARY));
    return new Table(g, context.getPhysicalRowDataType());
  }

  /** The table, which reads all columns. */
  private static final class Table implements ScanTableSource {
    private final Generator generator;
    private final DataType type;

    Table(Generator generator, DataType type) {
      this.generator = generator;
      this.type = type;
    }

    @Override
    public ChangelogMode getChangelogMode() {
      return ChangelogMode.insertOnly();
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
      TypeInformation<RowData> rows = context.createTypeInformation(type);
      return SourceProvider.of(new DataGeneratorSource<>(generator, generator.events, rows));
    }

    @Override
    public DynamicTableSource copy() {
      return new Table(generator, type);
    }

    @Override
    public String asSummaryString() {
      return "nexmark";
    }
  }

  /** Makes any event from its number, as generator.go does. */
  private static final class Generator implements GeneratorFunction<Long, RowData> {
    private static final long GOLDEN = 0x9e3779b97f4a7c15L;
    private static final int PRICE_BITS = 12;
    private static final long SHUFFLE_FACTOR = 953;

    final long events;
    private final long rate;
    private final long base;
    private final long seed;
    private final long outOfOrder;
    private final String file;

    private transient long readers;
    private transient double[] prices;
    private transient byte[] letters;
    private transient byte[] words;
    private transient byte[] cards;
    private transient StringData[] hotNames;
    private transient StringData[] hotURLs;
    private transient StringData[] channels;
    private transient StringData[] urls;
    private transient StringData[] names;
    private transient StringData[] emails;
    private transient StringData[] cities;
    private transient StringData[] states;
    // stream is where the random words of the event at hand are.
    private transient long stream;

    Generator(long events, long rate, long base, long seed, long outOfOrder, String file) {
      this.events = events;
      this.rate = rate;
      this.base = base;
      this.seed = seed;
      this.outOfOrder = outOfOrder;
      this.file = file;
    }

    @Override
    public void open(SourceReaderContext context) {
      readers = context.currentParallelism();
      prices = new double[1 << PRICE_BITS];
      for (int i = 0; i < prices.length; i++) {
        prices[i] = 100 * Math.pow(10, 6.0 * i / prices.length);
      }
      List<String> lines;
      try {
        lines = Files.readAllLines(Path.of(file));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      letters = lines.get(0).getBytes(StandardCharsets.US_ASCII);
      words = lines.get(1).getBytes(StandardCharsets.US_ASCII);
      cards = lines.get(2).getBytes(StandardCharsets.US_ASCII);
      hotNames = list(lines.get(3));
      hotURLs = list(lines.get(4));
      channels = list(lines.get(5));
      urls = list(lines.get(6));
      names = list(lines.get(7));
      emails = list(lines.get(8));
      cities = list(lines.get(9));
      states = list(lines.get(10));
    }

    private static StringData[] list(String line) {
      String[] parts = line.split("\t");
      StringData[] all = new StringData[parts.length];
      for (int i = 0; i < parts.length; i++) {
        all[i] = new BinaryStringData(parts[i]);
        ((BinaryStringData) all[i]).ensureMaterialized();
      }
      return all;
    }

    /** Each reader has a range of numbers one after the other; they are spread, so that all advance together in time. */
    @Override
    public RowData map(Long at) {
      long n = at;
      long share = events / readers;
      if (n < share * readers) {
        n = n % share * readers + n / share;
      }
      if (outOfOrder > 1) {
        n = n - n % outOfOrder + n * SHUFFLE_FACTOR % outOfOrder;
      }
      stream = mix(seed ^ n * GOLDEN);
      long turn = n / 50;
      int place = (int) (n % 50);
      GenericRowData row = new GenericRowData(4);
      if (place >= 4) {
        row.setField(0, 2);
        row.setField(3, bid(turn, time(n)));
      } else if (place >= 1) {
        row.setField(0, 1);
        row.setField(2, auction(turn, place - 1, n));
      } else {
        row.setField(0, 0);
        row.setField(1, person(turn, time(n)));
      }
      return row;
    }

    private long time(long n) {
      return base + n * (1_000_000_000L / rate) / 1_000_000L;
    }

    private GenericRowData bid(long turn, long at) {
      Dice which = new Dice(word());
      Dice who = new Dice(word());
      long last = turn * 3 + 2;
      long auction;
      if (which.draw(2) > 0) {
        auction = 1000 + last / 100 * 100;
      } else {
        long first = Math.max(last - 100, 0);
        auction = 1000 + first + who.draw(last - first + 1 + 10);
      }
      long bidder = which.draw(4) > 0 ? 1000 + turn / 100 * 100 + 1 : 1000 + active(who, turn);
      long price = price();
      StringData name;
      StringData url;
      if (which.draw(2) > 0) {
        int i = (int) which.draw(hotNames.length);
        name = hotNames[i];
        url = hotURLs[i];
      } else {
        int i = (int) which.draw(channels.length);
        name = channels[i];
        url = urls[i];
      }
      return GenericRowData.of(
          auction, bidder, price, name, url, TimestampData.fromEpochMillis(at), extra(which, 32, 100));
    }

    private static long active(Dice d, long turn) {
      long people = turn + 1;
      long active = Math.min(people, 1000);
      return people - active + d.draw(active + 10);
    }

    private GenericRowData auction(long turn, int place, long n) {
      Dice which = new Dice(word());
      Dice who = new Dice(word());
      Dice texts = new Dice(word());
      long at = time(n);
      long seller = which.draw(4) > 0 ? 1000 + turn / 100 * 100 : 1000 + active(who, turn);
      long category = 10 + which.draw(5);
      long initial = price();
      long reserve = initial + price();
      long horizon = time(n + 100 * 50 / 3) - at;
      long expires = at + 1 + which.draw(Math.max(2 * horizon, 1));
      BinaryStringData name = phrase(texts, 20);
      BinaryStringData description = phrase(texts, 100);
      long size = 48 + name.getSizeInBytes() + description.getSizeInBytes();
      return GenericRowData.of(1000 + turn * 3 + place, name, description, initial, reserve,
          TimestampData.fromEpochMillis(at), TimestampData.fromEpochMillis(expires), seller, category,
          extra(who, size, 500));
    }

    private GenericRowData person(long turn, long at) {
      Dice which = new Dice(word());
      Dice texts = new Dice(word());
      StringData name = names[(int) which.draw(names.length)];
      StringData email = emails[(int) which.draw(emails.length)];
      StringData card = BinaryStringData.fromBytes(cards, (int) (5 * texts.draw(cards.length / 5 - 4)), 19);
      StringData city = cities[(int) which.draw(cities.length)];
      StringData state = states[(int) which.draw(states.length)];
      long size = 8 + size(name) + size(email) + 19 + size(city) + size(state);
      return GenericRowData.of(1000 + turn, name, email, card, city, state, TimestampData.fromEpochMillis(at),
          extra(texts, size, 200));
    }

    private static long size(StringData s) {
      return ((BinaryStringData) s).getSizeInBytes();
    }

    private BinaryStringData phrase(Dice d, long limit) {
      int n = (int) (3 + d.draw(limit - 3));
      int from = (int) d.draw(words.length - n);
      int to = from + n;
      while (from < to && words[from] == ' ') {
        from++;
      }
      while (to > from && words[to - 1] == ' ') {
        to--;
      }
      return BinaryStringData.fromBytes(words, from, to - from);
    }

    private BinaryStringData extra(Dice d, long size, long average) {
      if (size >= average) {
        return BinaryStringData.EMPTY_UTF8;
      }
      long fill = average - size;
      long delta = (fill + 2) / 5;
      long n = fill - delta;
      if (delta > 0) {
        n += d.draw(2 * delta);
      }
      return BinaryStringData.fromBytes(letters, (int) d.draw(letters.length - n), (int) n);
    }

    private long price() {
      long word = word();
      double x = (double) (word << PRICE_BITS >>> 11) * (6 * Math.log(10) / (1 << PRICE_BITS) / 0x1p53);
      return (long) (prices[(int) (word >>> (64 - PRICE_BITS))] * (1 + (x + x * x / 2)) + 0.5);
    }

    private long word() {
      stream += GOLDEN;
      return mix(stream);
    }

    private static long mix(long x) {
      x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
      x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
      return x ^ x >>> 31;
    }
  }

  /** A random word that several small numbers are drawn from. */
  private static final class Dice {
    private long left;

    Dice(long word) {
      left = word;
    }

    long draw(long n) {
      // The high word of the unsigned product: that of the signed one, and n where left counts as negative.
      long high = Math.multiplyHigh(left, n) + (left >> 63 & n);
      left *= n;
      return high;
    }
  }
}
