// Copyright The Weir Authors. SPDX-License-Identifier: Apache-2.0

package weir.nexmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.LookupTableSource;
import org.apache.flink.table.connector.source.lookup.LookupFunctionProvider;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.LookupFunction;

/** The connector "side-input": the lines of a file by their numbers, from 0 on, held in memory to be looked up. */
public final class SideInput implements DynamicTableSourceFactory {
  private static final ConfigOption<String> PATH = ConfigOptions.key("path").stringType().noDefaultValue();

  @Override
  public String factoryIdentifier() {
    return "side-input";
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
  public DynamicTableSource createDynamicTableSource(Context context) {
    FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
    helper.validate();
    return new Table(helper.getOptions().get(PATH));
  }

  private static final class Table implements LookupTableSource {
    private final String path;

    Table(String path) {
      this.path = path;
    }

    @Override
    public LookupRuntimeProvider getLookupRuntimeProvider(LookupContext context) {
      return LookupFunctionProvider.of(new Lines(path));
    }

    @Override
    public DynamicTableSource copy() {
      return new Table(path);
    }

    @Override
    public String asSummaryString() {
      return "side-input";
    }
  }

  /** Finds a line by its number. */
  public static final class Lines extends LookupFunction {
    private final String path;
    private transient List<StringData> lines;

    Lines(String path) {
      this.path = path;
    }

    @Override
    public void open(FunctionContext context) throws IOException {
      lines = new ArrayList<>();
      for (String line : Files.readAllLines(Path.of(path))) {
        BinaryStringData value = new BinaryStringData(line);
        value.ensureMaterialized();
        lines.add(value);
      }
    }

    @Override
    public Collection<RowData> lookup(RowData key) {
      long n = key.getLong(0);
      if (n < 0 || n >= lines.size()) {
        return List.of();
      }
      return List.of(GenericRowData.of(n, lines.get((int) n)));
    }
  }
}
