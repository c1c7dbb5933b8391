// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir.nexmark;

import java.io.BufferedWriter;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Set;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.RuntimeConverter;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;
import org.apache.flink.types.Row;

/**
 * The connector "answers": a file of a changelog for each subtask. A line is the kind of a row, as +I, -U, +U or -D, and its
 * fields, with tabs between them: times in milliseconds, decimals without their point, fields of rows in a row one by one.
 */
public final class Answers implements DynamicTableSinkFactory {
  private static final ConfigOption<String> PATH = ConfigOptions.key("path").stringType().noDefaultValue();

  @Override
  public String factoryIdentifier() {
    return "answers";
  }

  @Override
  public Set<ConfigOption<?>> requiredOptions() {
    return Set.of(PATH);
  }

  @Override
  public Set<ConfigOption<?>> optionalOptions() {
    return Set.of();
  }

  @Override
  public DynamicTableSink createDynamicTableSink(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    return new Table(helper.getOptions().get(PATH), context.getPhysicalRowDataType());
  }

  /** The table, which takes changes of all kinds: so a row that goes is told with all its fields. */
  private static final class Table implements DynamicTableSink {
    private final String path;
    private final DataType type;

    Table(String path, DataType type) {
      this.path = path;
      this.type = type;
    }

    @Override
    public ChangelogMode getChangelogMode(ChangelogMode requested) {
      return ChangelogMode.all();
    }

    @Override
    public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
      return SinkV2Provider.of(new Logs(path, context.createDataStructureConverter(type)));
    }

    @Override
    public DynamicTableSink copy() {
      return new Table(path, type);
    }

    @Override
    public String asSummaryString() {
      return "answers";
    }
  }

  /** The files. They are for jobs that don't fail: nothing is taken back. */
  private static final class Logs implements Sink<RowData> {
    private final String path;
    private final DynamicTableSink.DataStructureConverter converter;

    Logs(String path, DynamicTableSink.DataStructureConverter converter) {
      this.path = path;
      this.converter = converter;
    }

    @Override
    public SinkWriter<RowData> createWriter(WriterInitContext context) throws IOException {
      converter.open(RuntimeConverter.Context.create(context.getUserCodeClassLoader().asClassLoader()));
      Path dir = Path.of(path);
      Files.createDirectories(dir);
      return new Writer(converter, Files.newBufferedWriter(dir.resolve("part-" + context.getTaskInfo().getIndexOfThisSubtask())));
    }
  }

  private static final class Writer implements SinkWriter<RowData> {
    private final DynamicTableSink.DataStructureConverter converter;
    private final BufferedWriter out;

    Writer(DynamicTableSink.DataStructureConverter converter, BufferedWriter out) {
      this.converter = converter;
      this.out = out;
    }

    @Override
    public void write(RowData data, Context context) throws IOException {
      Row row = (Row) converter.toExternal(data);
      out.write(data.getRowKind().shortString());
      writeFields(row);
      out.write('\n');
    }

    private void writeFields(Row row) throws IOException {
      for (int i = 0; i < row.getArity(); i++) {
        Object field = row.getField(i);
        if (field instanceof Row) {
          writeFields((Row) field);
          continue;
        }
        out.write('\t');
        out.write(text(field));
      }
    }

    private static String text(Object field) {
      if (field instanceof LocalDateTime) {
        return Long.toString(((LocalDateTime) field).toInstant(ZoneOffset.UTC).toEpochMilli());
      }
      if (field instanceof Instant) {
        return Long.toString(((Instant) field).toEpochMilli());
      }
      if (field instanceof BigDecimal) {
        return ((BigDecimal) field).unscaledValue().toString();
      }
      return String.valueOf(field);
    }

    @Override
    public void flush(boolean endOfInput) throws IOException {
      out.flush();
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }
}
